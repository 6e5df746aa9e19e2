"""How many replicas there are to be, by what users ask of them."""
