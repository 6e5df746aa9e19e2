"""Who breaks things on purpose: when, whom, and within which bounds."""
