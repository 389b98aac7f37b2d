"""The mapping as a program of its own: what is printed, and the modules that are copied into it as they stand."""
