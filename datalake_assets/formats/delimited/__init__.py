"""Delimited text, whatever its dialect: from characters to rows, and to plain CSV again."""
