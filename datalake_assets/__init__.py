"""A data platform of Dagster assets for AWS: from the first S3 object to the last dbt model."""
