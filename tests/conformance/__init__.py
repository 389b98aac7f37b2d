"""One mapping on several engines: DuckDB, embedded and classic Spark, and printed programs, compared row by row."""
