"""COPY from S3: what the command says, which objects it means, how Parquet becomes rows."""
