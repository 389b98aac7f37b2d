"""The soak: the whole platform under random faults, then everything compared row by row. `make soak`."""
