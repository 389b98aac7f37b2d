"""Classic local Spark on local files: PERMISSIVE reading keeps a broken line, without a reason."""

import json
import os
import sys

from benchmarks._ingest.data import COLUMNS

SPARK = {"varchar": "string"}


def main() -> None:
    """Ingest the days of the order and count rows and rejects."""
    order = json.loads(sys.argv[1])
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as f

    spark = (
        SparkSession.builder.master("local[*]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    schema = ", ".join(f"{name} {SPARK.get(kind, kind)}" for name, kind in COLUMNS.items()) + ", broken string"
    frame = spark.read.csv(
        list(order["files"].values()),
        schema=schema,
        header=True,
        mode="PERMISSIVE",
        columnNameOfCorruptRecord="broken",
    ).withColumn("dt", f.regexp_extract(f.input_file_name(), r"(\d{4}-\d{2}-\d{2})\.csv", 1))
    for name, part in (("data", frame.where("broken IS NULL")), ("rejects", frame.where("broken IS NOT NULL"))):
        part.write.mode("overwrite").option("compression", "zstd").partitionBy("dt").parquet(f"{order['out']}/{name}")
    counts = [spark.read.parquet(f"{order['out']}/{name}").count() for name in ("data", "rejects")]
    print(json.dumps({"rows": counts[0], "bad": counts[1]}))
    spark.stop()


if __name__ == "__main__":
    main()
