"""The verdicts on a swarm of three engines, each with its figures, and the lab's own deployer beside it."""
