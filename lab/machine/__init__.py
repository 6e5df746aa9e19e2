"""This machine and its engine: found, installed, examined, given images; whose is what on it, and what is left over."""
