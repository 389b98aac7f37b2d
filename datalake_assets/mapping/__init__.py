"""From raw columns to target columns: the spec, its SQL, the quarantine. Knows local files only, no S3 and no catalog."""
