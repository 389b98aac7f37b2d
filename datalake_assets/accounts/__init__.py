"""Which account, role, region, bucket, queue and secret a location has."""
