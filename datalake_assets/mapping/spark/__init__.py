"""The mapping as Spark SQL, with the meaning that it has in DuckDB."""
