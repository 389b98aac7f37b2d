"""From raw columns to target columns: spec, SQL, quarantine. Knows local files only, no S3 and no catalog."""
