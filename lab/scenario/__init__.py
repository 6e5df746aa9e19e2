"""The conductor: a scenario file becomes values, the values a run, the run a verdict."""
