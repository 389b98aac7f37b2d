"""Redshift: load published versions so that repeating changes nothing, and say what is loaded."""
