"""SQL over the lake: DuckDB on this machine, Athena, or Redshift; one kind of result."""
