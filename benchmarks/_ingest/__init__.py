"""The contenders of `benchmarks.ingest`: one module each, run as a process of its own.

    python -m benchmarks._ingest.NAME ORDER

ORDER is a JSON object: `days`, `raw_bucket`, `lake_bucket`, `database`, `files` (local copies, day → path), `out` (a
folder). Each prints one JSON object: `rows` it wrote and `bad` rows it set aside, as far as it can tell.
"""
