"""What an engineer writes in an afternoon: stage with boto3, DuckDB with rejects, upload, register in Glue.

No manifest, no version, no check, no ledger: a second run overwrites under the eyes of readers.
"""

import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks._ingest.data import COLUMNS

DUCKDB = {"int": "INTEGER", "decimal(12,2)": "DECIMAL(12,2)"}
GLUE = {"varchar": "string"}


def main() -> None:
    """Ingest the days of the order and count rows and rejects."""
    order = json.loads(sys.argv[1])
    import boto3
    import duckdb

    s3, glue = boto3.client("s3"), boto3.client("glue")
    types = ", ".join(f"'{name}': '{DUCKDB.get(kind, kind.upper())}'" for name, kind in COLUMNS.items())
    location = f"s3://{order['lake_bucket']}/by_hand"
    with tempfile.TemporaryDirectory() as folder:

        def download(day: str) -> Path:
            path = Path(folder) / f"{day}.csv"
            s3.download_file(order["raw_bucket"], f"orders/dt={day}/orders.csv", str(path))
            return path

        with ThreadPoolExecutor(8) as pool:
            paths = dict(zip(order["days"], pool.map(download, order["days"]), strict=True))
            rows = bad = 0
            uploads = []
            connection = duckdb.connect()
            for day, path in paths.items():
                target = Path(folder) / f"{day}.parquet"
                rejects = Path(folder) / f"{day}.rejects.parquet"
                read = (
                    f"read_csv('{path}', columns = {{{types}}}, header = true, auto_detect = false, "
                    f"store_rejects = true, rejects_table = 'r_{day.replace('-', '_')}', "
                    f"rejects_scan = 's_{day.replace('-', '_')}')"
                )
                ((written,),) = connection.execute(
                    f"COPY (SELECT * FROM {read}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
                ).fetchall()
                table = f"r_{day.replace('-', '_')}"
                wanted = f"SELECT line, column_name, error_message, csv_line FROM {table}"
                ((rejected,),) = connection.execute(f"COPY ({wanted}) TO '{rejects}' (FORMAT parquet)").fetchall()
                rows, bad = rows + written, bad + rejected
                for each, name in ((target, "data"), (rejects, "rejects")):
                    key = f"by_hand/{name}/dt={day}/part-0.parquet"
                    uploads.append(pool.submit(s3.upload_file, str(each), order["lake_bucket"], key))
            for upload in uploads:
                upload.result()
    descriptor: Any = {
        "Columns": [{"Name": name, "Type": GLUE.get(kind, kind)} for name, kind in COLUMNS.items()],
        "Location": f"{location}/data/",
        "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
    }
    table_input: Any = {
        "Name": "by_hand",
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": [{"Name": "dt", "Type": "date"}],
        "StorageDescriptor": descriptor,
    }
    glue.create_table(DatabaseName=order["database"], TableInput=table_input)
    partitions: Any = [
        {"Values": [day], "StorageDescriptor": descriptor | {"Location": f"{location}/data/dt={day}/"}}
        for day in order["days"]
    ]
    glue.batch_create_partition(DatabaseName=order["database"], TableName="by_hand", PartitionInputList=partitions)
    print(json.dumps({"rows": rows, "bad": bad}))


if __name__ == "__main__":
    main()
