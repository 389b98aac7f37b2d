"""Raw files out of bytes, specs out of keywords, and the rows that a mapping made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from datalake_assets.mapping.duckdb_engine import map_files
from datalake_assets.mapping.raw_files import StagedFile
from datalake_assets.mapping.result import MappingResult
from datalake_assets.mapping.spec import MappingSpec

BUCKET = "s3://raw/"


def build_spec(
    *columns: str | dict[str, Any],
    fail_above: float | str = 1.0,
    null_values: list[str] | None = None,
    on_schema_change: str = "rescue",
    children: Sequence[dict[str, Any]] = (),
    **source: Any,
) -> MappingSpec:
    """A spec; a column may be written `from:type` or `from:type!` for a required one, and keeps its name."""
    if null_values is not None:
        source["null_values"] = null_values
    read = [column if isinstance(column, dict) else _column(column) for column in columns]
    words = {"bad_rows": {"fail_above": fail_above}, "on_schema_change": on_schema_change, "children": children}
    return MappingSpec.model_validate({"columns": read, "source": source, **words})


def _column(text: str) -> dict[str, Any]:
    name, type_ = text.split(":")
    return {"from": name, "to": name, "type": type_.removesuffix("!"), "required": type_.endswith("!")}


@dataclass(frozen=True)
class Mapped:
    """A result with its Parquet files read back."""

    result: MappingResult

    @property
    def table(self) -> pa.Table:
        return pa.concat_tables([pq.read_table(path) for path in self.result.good_files])

    @property
    def good(self) -> list[dict[str, Any]]:
        rows = self.table.to_pylist()
        return sorted(rows, key=lambda row: (row["_source_file"], row["_source_row"]))

    @property
    def bad(self) -> list[dict[str, Any]]:
        if not self.result.quarantine_files:
            return []
        return pa.concat_tables([pq.read_table(path) for path in self.result.quarantine_files]).to_pylist()

    def values(self, column: str) -> list[Any]:
        return [row[column] for row in self.good]

    @property
    def good_rows(self) -> list[int]:
        return [row["_source_row"] for row in self.good]

    @property
    def bad_rows(self) -> list[int]:
        return [row["_source_row"] for row in self.bad]


def run_mapping(spec: MappingSpec, files: bytes | Mapping[str, bytes], folder: Path, **options: Any) -> Mapped:
    """Write the raw files and map them; a single text becomes the file `file.csv`."""
    contents = {"file.csv": files} if isinstance(files, bytes) else files
    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    staged = []
    for number, (name, content) in enumerate(contents.items()):
        path = raw / str(number)
        path.write_bytes(content)
        staged.append(StagedFile(path, BUCKET + name))
    out = folder / "out"
    out.mkdir(exist_ok=True)
    return Mapped(map_files(spec, staged, out, threads=2, **options))
