"""Polars: scan from S3, cast, rejects to a file of their own, sink to S3. Registers nothing; cuts surplus fields."""

import json
import os
import sys

from benchmarks._ingest.data import COLUMNS


def main() -> None:
    """Ingest the days of the order and count rows and rejects."""
    order = json.loads(sys.argv[1])
    import polars as pl

    options = {
        "aws_endpoint_url": os.environ["AWS_ENDPOINT_URL"],
        "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "aws_region": os.environ["AWS_DEFAULT_REGION"],
        "aws_allow_http": "true",
    } | ({"aws_session_token": token} if (token := os.environ.get("AWS_SESSION_TOKEN")) else {})
    types: dict[str, object] = {
        "bigint": pl.Int64,
        "int": pl.Int32,
        "timestamp": pl.Datetime("us"),
        "decimal(12,2)": pl.Decimal(12, 2),
        "double": pl.Float64,
        "date": pl.Date,
        "varchar": pl.String,
    }
    casts = []
    for name, kind in COLUMNS.items():
        column = pl.col(name)
        if kind == "boolean":
            casts.append((column == "true").alias(name))
        elif kind == "timestamp":
            casts.append(column.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False))
        elif kind == "date":
            casts.append(column.str.to_date("%Y-%m-%d", strict=False))
        else:
            casts.append(column.cast(types[kind], strict=False))  # type: ignore[arg-type]
    broken = pl.any_horizontal(pl.col("quantity").is_null(), pl.col("delivery_date").is_null())
    sinks, counts = [], []
    for day in order["days"]:
        raw = pl.scan_csv(
            f"s3://{order['raw_bucket']}/orders/dt={day}/orders.csv",
            infer_schema=False,
            truncate_ragged_lines=True,
            storage_options=options,
        )
        rows = raw.select(casts)
        for name, part in (("data", rows.filter(~broken)), ("rejects", rows.filter(broken))):
            target = f"s3://{order['lake_bucket']}/polars/{name}/dt={day}/part-0.parquet"
            sinks.append(part.sink_parquet(target, compression="zstd", storage_options=options, lazy=True))
            counts.append(target)
    pl.collect_all(sinks)
    found = [pl.scan_parquet(each, storage_options=options).select(pl.len()).collect().item() for each in counts]
    print(json.dumps({"rows": sum(found[0::2]), "bad": sum(found[1::2])}))


if __name__ == "__main__":
    main()
