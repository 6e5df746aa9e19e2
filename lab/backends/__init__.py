"""The only room that names backends: what a cluster, its balancer, its stores and its events really are."""
