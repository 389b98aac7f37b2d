"""A bare DuckDB copy of local CSV files to Parquet with the same casts; what has a mistake is dropped."""

import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._ingest.data import COLUMNS

DUCKDB = {"int": "INTEGER", "decimal(12,2)": "DECIMAL(12,2)"}


def main() -> None:
    """Copy the files of the order; `seconds` are those of the work, without imports."""
    order = json.loads(sys.argv[1])
    import duckdb

    types = ", ".join(f"'{name}': '{DUCKDB.get(kind, kind.upper())}'" for name, kind in COLUMNS.items())
    with tempfile.TemporaryDirectory(dir=order["out"]) as folder:
        begin = time.perf_counter()
        connection = duckdb.connect()
        rows = 0
        for each in order["files"]:
            read = (
                f"read_csv('{each}', columns = {{{types}}}, header = true, auto_detect = false, ignore_errors = true)"
            )
            target = Path(folder) / f"{Path(each).stem}.parquet"
            ((written,),) = connection.execute(
                f"COPY (SELECT * FROM {read}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
            ).fetchall()
            rows += written
        seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": round(seconds, 3), "rows": rows, "bad": 0}))


if __name__ == "__main__":
    main()
