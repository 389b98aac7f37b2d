"""The platform's mapping of local files, without S3 and catalog: a file a partition, as many at once as in a run."""

import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks._ingest.data import COLUMNS


def main() -> None:
    """Map the files of the order; `seconds` are those of the work, without imports."""
    order = json.loads(sys.argv[1])
    from datalake_assets.mapping.duckdb_engine import map_files
    from datalake_assets.mapping.raw_files import StagedFile
    from datalake_assets.mapping.result import MappingResult
    from datalake_assets.mapping.spec import MappingSpec

    workers = os.cpu_count() or 1
    columns = [{"from": name, "to": name, "type": kind} for name, kind in COLUMNS.items()]
    spec = MappingSpec.model_validate({"columns": columns})
    with tempfile.TemporaryDirectory(dir=order["out"]) as folder:
        begin = time.perf_counter()

        def map_one(file: str) -> MappingResult:
            staged = StagedFile(Path(file), f"s3://raw/{Path(file).name}")
            out = Path(folder) / staged.path.stem
            return map_files(spec, [staged], out, threads=1, memory_limit=f"{1000 // workers}MB")

        with ThreadPoolExecutor(workers) as pool:
            results = list(pool.map(map_one, order["files"]))
        seconds = time.perf_counter() - begin
    rows, bad = sum(each.rows_good for each in results), sum(each.rows_bad for each in results)
    print(json.dumps({"seconds": round(seconds, 3), "rows": rows, "bad": bad}))


if __name__ == "__main__":
    main()
