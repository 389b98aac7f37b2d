"""The platform's mapping of local files, without S3 and catalog; one partition a file, as a run does it."""

import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._ingest.data import COLUMNS


def main() -> None:
    """Map the files of the order; `seconds` are those of the work, without imports."""
    order = json.loads(sys.argv[1])
    from datalake_assets.mapping.duckdb_engine import map_files
    from datalake_assets.mapping.raw_files import StagedFile
    from datalake_assets.mapping.spec import MappingSpec

    columns = [{"from": name, "to": name, "type": kind} for name, kind in COLUMNS.items()]
    spec = MappingSpec.model_validate({"columns": columns})
    with tempfile.TemporaryDirectory(dir=order["out"]) as folder:
        begin = time.perf_counter()
        results = [
            map_files(spec, [StagedFile(Path(each), f"s3://raw/{Path(each).name}")], Path(folder) / Path(each).stem)
            for each in order["files"]
        ]
        seconds = time.perf_counter() - begin
    rows, bad = sum(each.rows_good for each in results), sum(each.rows_bad for each in results)
    print(json.dumps({"seconds": round(seconds, 3), "rows": rows, "bad": bad}))


if __name__ == "__main__":
    main()
