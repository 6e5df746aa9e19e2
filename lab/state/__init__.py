"""The lab's own durable state: what is wanted of clusters, and who leads them."""
