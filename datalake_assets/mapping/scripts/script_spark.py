"""The program for Spark: each task reads whole files as texts, and Spark SQL makes Parquet of them."""

import copyreg
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from datalake_assets.mapping.scripts.script_files import (
    Mapping,
    cells,
    columns_of,
    find_files,
    read_arguments,
    read_rows,
    report,
)
from datalake_assets.mapping.scripts.script_reader import BadFile

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
    copyreg.pickle(json.JSONDecoder, _remade)
    for name, value in _SETTINGS.items():
        spark.conf.set(name, value)
    target = target.rstrip("/")
    columns = columns_of(mapping.source)
    kinds = {"number": "BIGINT", "text": "STRING"}
    kinds |= {f"nested {number}": ddl_of(shape.tree) for number, shape in enumerate(mapping.source.shapes)}
    schema = ", ".join(f"{name} {kinds[kind]}" for name, kind in columns)
    # A record is numbered by those before it, so a file is never divided between tasks.
    tasks = spark.range(0, len(files), 1, min(len(files), _MAX_TASKS))
    rows = tasks.mapInArrow(_reader(list(files), mapping), schema)
    has_elements = bool(mapping.source.elements)
    # Kept, so that files are read and values are cast once, and no filter is pushed into these steps: that would
    # write each of them out again wherever it is named.
    kept = []
    if has_elements:
        kept.append(rows := _kept(rows))
    try:
        for level in range(len(mapping.source.elements) + 1):
            name = f"elements_{level}" if level else "records"
            (rows.where(f"level = {level}") if has_elements else rows).createOrReplaceTempView(name)
        for name, query in mapping.tables:
            table = spark.sql(query)
            kept.append(table := _kept(table) if has_elements else table.persist())
            table.createOrReplaceTempView(name)
        for name, query in mapping.outputs:
            spark.sql(query).write.parquet(f"{target}/{name}")
        mapped = spark.sql(mapping.mapped).collect()[0][0]
        # What is written is cheaper to count than to compute again.
        good, bad = (spark.read.parquet(f"{target}/{name}").count() for name, _ in mapping.outputs[:2])
    except Exception as error:  # whatever a task raised comes wrapped by Spark, in several layers
        if (told := _bad_file(error)) is not None:
            raise BadFile(told) from error
        raise
    finally:
        for table in kept:
            table.unpersist()
    return good, bad, mapped - good


def _kept(table: Any) -> Any:
    """The table computed once; without the steps that made it, which Spark would plan again with every other one."""
    is_remote = type(table).__module__.startswith("pyspark.sql.connect")
    return table.persist() if is_remote else table.localCheckpoint()


def _remade(decoder: json.JSONDecoder) -> tuple[Any, ...]:
    """How a decoder comes to the tasks: of itself it cannot be sent."""
    words = ("object_hook", "parse_float", "parse_int", "parse_constant", "strict", "object_pairs_hook")
    return partial(json.JSONDecoder, **{word: getattr(decoder, word) for word in words}), ()


def ddl_of(tree: Any) -> str:
    """The type of a nested value with scalars as texts, as `Shape` tells it."""
    if tree is None:
        return "STRING"
    kind, parts = tree
    if kind == "array":
        value = f"ARRAY<{ddl_of(parts)}>"
    elif kind == "map":
        value = f"ARRAY<STRUCT<k: STRING, v: {ddl_of(parts)}>>"
    else:
        fields = ", ".join(f"f{number}: {ddl_of(part)}" for number, (_, part) in enumerate(parts))
        value = f"STRUCT<{fields}>"
    return f"STRUCT<w: STRING, v: {value}>"


def _arrow_type(tree: Any) -> "pa.DataType":
    import pyarrow as pa

    if tree is None:
        return pa.string()
    kind, parts = tree
    value: pa.DataType
    if kind == "array":
        value = pa.list_(_arrow_type(parts))
    elif kind == "map":
        value = pa.list_(pa.struct([("k", pa.string()), ("v", _arrow_type(parts))]))
    else:
        value = pa.struct([(f"f{number}", _arrow_type(part)) for number, (_, part) in enumerate(parts)])
    return pa.struct([("w", pa.string()), ("v", value)])


def _reader(files: list[str], mapping: Mapping) -> "Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]":
    """A function for mapInArrow: numbers of files in, their records out."""

    def read(batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        source = mapping.source
        kinds: dict[str, pa.DataType] = {"number": pa.int64(), "text": pa.string()}
        kinds |= {f"nested {number}": _arrow_type(shape.tree) for number, shape in enumerate(source.shapes)}
        columns = columns_of(source)
        for batch in batches:
            for number in batch.column(0).to_pylist():
                rows = (cells(row, source) for row in read_rows(files[int(number or 0)], mapping))
                while some := list(islice(rows, _BATCH_ROWS)):
                    values = zip(columns, zip(*some, strict=True), strict=True)
                    arrays = [pa.array(each, kinds[kind]) for (_, kind), each in values]
                    yield pa.RecordBatch.from_arrays(arrays, [name for name, _ in columns])

    return read


def _bad_file(error: Exception) -> str | None:
    """What a task said about a raw file; None if it failed for another reason."""
    marker = "BadFile: "
    for line in str(error).splitlines():
        if marker in line:
            return line.split(marker, 1)[1]
    return None
