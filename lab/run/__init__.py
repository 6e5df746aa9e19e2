"""One run: a scenario's values become phases, steps and strikes on a cluster, and its record is judged."""
