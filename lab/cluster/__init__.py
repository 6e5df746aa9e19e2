"""The cluster of containers: what the lab may ask of it, and the real one on Docker."""
