"""Steps of a pipeline: programs, functions and statements, each run, watched and ended as one unit."""
