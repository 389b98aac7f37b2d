"""Golden data: what each word of a mapping makes of raw files, whatever engine runs it.

Each file of `golden_data/` is one case: the words of a mapping, raw files as texts, and the rows that each table holds.
Values are compared as `plain` writes them, so that engines may use their own types.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from datalake_assets.mapping.spec import MappingSpec

FOLDER = Path(__file__).parent / "golden_data"
PLATFORM = ("_source_file", "_source_row", "_rescued_data")


@dataclass(frozen=True)
class Case:
    """One golden case.

    Attributes:
        files: name → content of the raw files, in their order.
        good: rows of the table; `_rescued_data` is only in those that have some, `_row` stands for `file:row`.
        children: table → rows, with `_row` of their record.
        quarantine: `_row` and `_reason` of the rows set aside; `_raw` where the case is about it.
        duplicates: good rows that were dropped.
        salts: name of a secret → its value.
    """

    name: str
    spec: MappingSpec
    files: Mapping[str, bytes]
    good: Sequence[Mapping[str, Any]]
    children: Mapping[str, Sequence[Mapping[str, Any]]]
    quarantine: Sequence[Mapping[str, Any]]
    duplicates: int
    salts: Mapping[str, str]


def cases() -> list[Case]:
    """All cases, by name."""
    return [_case(path) for path in sorted(FOLDER.glob("*.yaml"))]


def _case(path: Path) -> Case:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    words = {"bad_rows": {"fail_above": 1.0}, **data["mapping"]}
    return Case(
        name=path.stem,
        spec=MappingSpec.model_validate(words),
        files={name: text.encode() for name, text in data["files"].items()},
        good=data["good"],
        children=data.get("children", {}),
        quarantine=data.get("quarantine", []),
        duplicates=data.get("duplicates", 0),
        salts=data.get("salts", {}),
    )


def plain(value: Any) -> Any:
    """A value as golden files write it: decimals, dates and timestamps are texts, maps are objects."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="auto")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list) and value and all(isinstance(each, tuple) for each in value):
        return {str(plain(key)): plain(inner) for key, inner in value}  # a map, as Arrow gives it
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return value


def row(values: Mapping[str, Any]) -> dict[str, Any]:
    """A row of an engine as golden files write it."""
    place = f"{str(values['_source_file']).rpartition('/')[2]}:{values['_source_row']}"
    rest = {name: plain(value) for name, value in values.items() if name not in PLATFORM}
    if values.get("_rescued_data") is not None:
        rest["_rescued_data"] = values["_rescued_data"]
    return {**rest, "_row": place}
