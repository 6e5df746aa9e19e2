"""The balancer: how it is told whom to ask, and how the lab learns whom it asks."""
