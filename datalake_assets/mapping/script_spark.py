"""The program for Spark: each task reads whole files as texts, and Spark SQL makes Parquet of them."""

import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from datalake_assets.mapping.script_files import Mapping, find_files, read_arguments, read_rows, report
from datalake_assets.mapping.script_reader import BadFile, Source

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 10_000
_MAX_TASKS = 2_000
# With other settings the same SQL would give other values.
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.parquet.writeLegacyFormat": "false",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInWrite": "CORRECTED",
}


def main(mapping: Mapping, arguments: Sequence[str] | None = None) -> int:
    from pyspark.sql import SparkSession

    options = read_arguments(mapping, arguments)
    spark = SparkSession.builder.appName(mapping.name).getOrCreate()
    try:
        files = find_files(options.input, mapping.patterns, options.partition)
        counts = map_to_parquet(spark, mapping, files, options.output)
    except BadFile as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        spark.stop()
    return report(mapping, len(files), *counts)


def map_to_parquet(spark: Any, mapping: Mapping, files: Sequence[str], target: str) -> tuple[int, int, int]:
    """Write `good` and `quarantine` below the target; return the numbers of good, bad and repeated rows.

    Raises:
        BadFile: a raw file cannot be read as declared.
    """
    for name, value in _SETTINGS.items():
        spark.conf.set(name, value)
    target = target.rstrip("/")
    number = len(mapping.source.columns) + len(mapping.source.keys)
    schema = "source_file STRING, source_row BIGINT, reason STRING, raw STRING, surplus STRING"
    schema += "".join(f", c{each} STRING" for each in range(number))
    # A record is numbered by those before it, so a file is never divided between tasks.
    tasks = spark.range(0, len(files), 1, min(len(files), _MAX_TASKS))
    records = tasks.mapInArrow(_reader(list(files), mapping.source), schema)
    records.createOrReplaceTempView("records")
    # Kept, so that files are read and values are cast once, and no filter is pushed into these steps: that would
    # write each of them out again wherever it is named.
    checked = spark.sql(mapping.checked).persist()
    try:
        checked.createOrReplaceTempView("checked")
        for name, query in (("good", mapping.good), ("quarantine", mapping.quarantine)):
            spark.sql(query).write.parquet(f"{target}/{name}")
        rows = checked.count()
        # What is written is cheaper to count than to compute again.
        good, bad = (spark.read.parquet(f"{target}/{name}").count() for name in ("good", "quarantine"))
    except Exception as error:  # whatever a task raised comes wrapped by Spark, in several layers
        if (told := _bad_file(error)) is not None:
            raise BadFile(told) from error
        raise
    finally:
        checked.unpersist()
    return good, bad, rows - bad - good


def _reader(files: list[str], source: Source) -> "Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]":
    """A function for mapInArrow: numbers of files in, their records out."""

    def read(batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        for batch in batches:
            for number in batch.column(0).to_pylist():
                rows = read_rows(files[int(number or 0)], source)
                while some := list(islice(rows, _BATCH_ROWS)):
                    names = ["source_file", "source_row", "reason", "raw", "surplus"]
                    names += [f"c{each}" for each in range(len(some[0].texts))]
                    columns = list(zip(*((*row[:5], *row.texts) for row in some), strict=True))
                    arrays = [
                        pa.array(column, pa.int64() if name == "source_row" else pa.string())
                        for name, column in zip(names, columns, strict=True)
                    ]
                    yield pa.RecordBatch.from_arrays(arrays, names)

    return read


def _bad_file(error: Exception) -> str | None:
    """What a task said about a raw file; None if it failed for another reason."""
    marker = "BadFile: "
    for line in str(error).splitlines():
        if marker in line:
            return line.split(marker, 1)[1]
    return None
