"""awswrangler: read as text, cast with pandas, write a Glue dataset. Bad values become null, surplus fields are cut."""

import json
import sys
import warnings


def main() -> None:
    """Ingest the days of the order and count rows."""
    order = json.loads(sys.argv[1])
    warnings.simplefilter("ignore")
    import awswrangler as wr
    import pandas as pd  # type: ignore[import-untyped]

    rows = bad = 0
    for day in order["days"]:
        frame = wr.s3.read_csv(
            f"s3://{order['raw_bucket']}/orders/dt={day}/orders.csv",
            dtype="string",
            on_bad_lines="skip",
            index_col=False,
        )
        before = len(frame)
        for name in ("order_id", "customer_id", "quantity"):
            frame[name] = pd.to_numeric(frame[name], errors="coerce").astype("Int64")
        frame["weight_kg"] = pd.to_numeric(frame["weight_kg"], errors="coerce")
        frame["price"] = frame["price"].astype("string")
        frame["ordered_at"] = pd.to_datetime(frame["ordered_at"], errors="coerce", format="%Y-%m-%d %H:%M:%S.%f")
        frame["delivery_date"] = pd.to_datetime(frame["delivery_date"], errors="coerce", format="%Y-%m-%d")
        frame["is_gift"] = frame["is_gift"] == "true"
        frame = frame[frame["quantity"].notna() & frame["delivery_date"].notna()].assign(dt=day)
        rows, bad = rows + len(frame), bad + before - len(frame)
        wr.s3.to_parquet(
            frame,
            path=f"s3://{order['lake_bucket']}/wrangler/",
            dataset=True,
            partition_cols=["dt"],
            mode="overwrite_partitions",
            database=order["database"],
            table="wrangler",
            compression="zstd",
            dtype={"price": "decimal(12,2)", "delivery_date": "date"},
        )
    print(json.dumps({"rows": rows, "bad": bad}))


if __name__ == "__main__":
    main()
