"""The program for DuckDB: raw files become a table of texts, and three statements make Parquet of it."""

import csv
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from datalake_assets.mapping.scripts.script_files import (
    Mapping,
    cells,
    columns_of,
    find_files,
    is_s3,
    read_arguments,
    read_rows,
    report,
    upload,
)
from datalake_assets.mapping.scripts.script_reader import BadFile

# Stands for NULL between this program and DuckDB; no text of a file is like it.
_NULL = "\x1a\x1fnull\x1f\x1a"
_MAX_LINE_BYTES = 256 * 1024 * 1024


def main(mapping: Mapping, arguments: Sequence[str] | None = None) -> int:
    options = read_arguments(mapping, arguments)
    try:
        files = find_files(options.input, mapping.patterns, options.partition)
        with tempfile.TemporaryDirectory() as work:
            target = Path(work) / "out" if is_s3(options.output) else Path(options.output)
            counts = map_to_parquet(mapping, files, target, Path(work))
            if is_s3(options.output):
                upload(target, options.output)
    except BadFile as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return report(mapping, len(files), *counts)


def map_to_parquet(mapping: Mapping, files: Sequence[str], target: Path, work: Path) -> tuple[int, int, int]:
    """Write `good` and `quarantine` below the target; return the numbers of good, bad and repeated rows."""
    import duckdb

    if target.exists() and any(target.iterdir()):
        raise BadFile(f"{target}: the output is not empty")
    texts = work / "records.csv"
    with texts.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(_lines_of_texts(mapping, files))
    connection = duckdb.connect(str(work / "work.duckdb"))
    # Times with an offset become UTC.
    connection.execute("SET TimeZone = 'UTC'")
    # Statistics would make a column without nulls REQUIRED in the Parquet file: the schema must not hang on the data.
    connection.execute("SET disabled_optimizers = 'statistics_propagation'")
    kinds = {"number": "BIGINT", "text": "VARCHAR"}
    columns = {name: kinds[kind] for name, kind in columns_of(mapping.source)}
    connection.execute(
        "CREATE TABLE rows_read AS SELECT * FROM read_csv(?, columns = ?, header = false, delim = ',', quote = '\"', "
        "escape = '\"', nullstr = ?, auto_detect = false, parallel = false, max_line_size = ?)",
        [str(texts), columns, _NULL, _MAX_LINE_BYTES],
    )
    texts.unlink()
    for level in range(len(mapping.source.elements) + 1):
        name = f"elements_{level}" if level else "records"
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM rows_read WHERE level = {level}")
    for name, query in mapping.tables:
        connection.execute(f"CREATE TABLE {name} AS {query}")
    counts = []
    for name, query in mapping.outputs:
        (target / name).mkdir(parents=True)
        path = str(target / name / "part-00000.parquet").replace("'", "''")
        copied = connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)").fetchall()
        counts.append(int(copied[0][0]))
    ((mapped,),) = connection.execute(mapping.mapped).fetchall()
    connection.close()
    return counts[0], counts[1], mapped - counts[0]


def _lines_of_texts(mapping: Mapping, files: Sequence[str]) -> Iterator[list[str | int]]:
    for file in files:
        for row in read_rows(file, mapping):
            yield [_NULL if cell is None else cell for cell in cells(row, mapping.source)]
