"""What `make bench` measures: `python -m benchmarks.NAME [--quick]`; the last line is one JSON object."""
