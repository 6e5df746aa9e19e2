"""What the verbs of the command line do: runs, and rollouts, faults and clusters by hand."""
