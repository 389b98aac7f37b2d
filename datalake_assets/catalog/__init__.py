"""Glue tables and partitions: which version of a partition readers see, and proof of what is in it."""
