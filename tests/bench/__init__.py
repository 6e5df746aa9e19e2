"""Figures, each with its peer in the same run: `make bench`. Nothing here is asserted."""
