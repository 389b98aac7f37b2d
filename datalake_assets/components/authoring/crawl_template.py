"""The files of a pipeline that a crawl found: its declaration, and a made-up sample that its test maps.

The sample is no part of the crawled files: those may hold what must not be in a repository. Where none can be made up
that the mapping takes as it is, the test looks at the columns alone.
"""

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datalake_assets.column_types import TargetType
from datalake_assets.components.authoring.tree import write_files
from datalake_assets.components.authoring.words import NewName, filled
from datalake_assets.components.declarations import read_declarations
from datalake_assets.components.scaffold.pipeline import scaffold_text
from datalake_assets.components.words.pipeline_spec import PipelineSpec
from datalake_assets.errors import PlatformError
from datalake_assets.formats.paths import path_parts
from datalake_assets.mapping.columns import Column, DroppedColumn, MappedColumn
from datalake_assets.testing import PLATFORM_COLUMNS

if TYPE_CHECKING:
    from datalake_assets.accounts.registry import Account
    from datalake_assets.discovery.report import DiscoveredTable

SAMPLE_ROWS = 3
# 2026-01-02 03:04:05 UTC as formats write it that are no directives of strftime.
_EPOCHS = {"epoch_s": 1_767_323_045, "epoch_ms": 1_767_323_045_000}

_HEAD = '''\
"""What the pipeline makes of its files; pytest runs this without AWS."""

from pathlib import Path

'''

_COLUMNS_TEST = """\
from datalake_assets.components.declarations import read_declarations

FOLDER = Path(__file__).parent


def test_its_columns_are_those_of_the_crawled_files() -> None:
    (declared,) = read_declarations(FOLDER)
    assert [column.name for column in declared.spec.mapping().output_columns()] == [
<columns>
    ]
"""

_SAMPLE_TEST = """\
from datalake_assets.testing import map_files

FOLDER = Path(__file__).parent
# Made up, as the crawled files are written. Put rows here that have been a problem.
SAMPLE = "<sample>"


def test_each_row_of_the_sample_is_published() -> None:
    mapped = map_files(FOLDER, SAMPLE)
    assert mapped.set_aside == []
    assert len(mapped.rows) == <rows>


def test_every_value_of_the_sample_has_a_column() -> None:
    mapped = map_files(FOLDER, SAMPLE)
    assert mapped.rescued == []
    assert list(mapped.rows[0]) == [
<columns>
    ]
"""


def crawl_files(new: NewName, table: "DiscoveredTable", account: "Account") -> dict[str, str]:
    """The files of the pipeline by their names.

    Raises:
        Unsupported: the table cannot be declared as a pipeline of files.
    """
    text = scaffold_text(table, new.name, owner=new.owner, account=account)
    files = {"defs.yaml": text}
    with tempfile.TemporaryDirectory(prefix="datalake-new-") as work:
        folder = Path(work) / new.location / new.name
        write_files(folder, files)
        (declared,) = read_declarations(folder)
        columns = [each.name for each in declared.spec.mapping().output_columns()]
        sample = _sample(declared.spec, folder)
    if sample is None:
        return files | {new.test_name: filled(_HEAD + _COLUMNS_TEST, new, columns=_listed(columns))}
    name, content, rows = sample
    own = _listed(each for each in columns if each not in PLATFORM_COLUMNS)
    test = filled(_HEAD + _SAMPLE_TEST, new, columns=own, sample=name, rows=str(rows))
    return files | {name: content, new.test_name: test}


def _listed(names: Iterable[str]) -> str:
    return "\n".join(f'        "{name}",' for name in names)


def _sample(spec: PipelineSpec, folder: Path) -> tuple[str, str, int] | None:
    """A file that the pipeline maps without any complaint: name, text and rows; None if none was found."""
    from datalake_assets.testing import map_files

    made = {"csv": _csv, "json": _json}.get(spec.source.format)
    if made is None or spec.source.encoding not in ("utf-8", "cp1252", "iso8859-1", "ascii"):
        return None
    name, content = made(spec)
    write_files(folder, {name: content})
    try:
        mapped = map_files(folder, name)
    except PlatformError:
        return None  # a dialect with more to it than one line of each kind
    if mapped.set_aside or mapped.rescued or not mapped.rows:
        return None
    return name, content, len(mapped.rows)


def _csv(spec: PipelineSpec) -> tuple[str, str]:
    source = spec.source
    raw = [each for each in spec.columns if isinstance(each, Column | DroppedColumn)]
    names = list(source.names) or [each.from_ for each in raw]
    by_name = {each.from_: each for each in raw}
    rows = [[_text(by_name.get(name), number) for name in names] for number in range(1, SAMPLE_ROWS + 1)]
    lines = ["-"] * source.skip_rows
    lines += [_joined(names, spec)] * source.header
    lines += [_joined(row, spec) for row in rows]
    lines += ["-"] * source.skip_footer
    return "sample.csv", "\n".join(lines) + "\n"


def _joined(values: list[str], spec: PipelineSpec) -> str:
    quote, escape = spec.source.quote, spec.source.escape or spec.source.quote
    special = {spec.source.delimiter, quote, "\n"} - {""}
    return spec.source.delimiter.join(
        f"{quote}{each.replace(quote, escape + quote)}{quote}" if quote and any(s in each for s in special) else each
        for each in values
    )


def _json(spec: PipelineSpec) -> tuple[str, str]:
    records: list[dict[str, Any]] = []
    for number in range(1, SAMPLE_ROWS + 1):
        record: dict[str, Any] = {}
        for column in spec.columns:
            if isinstance(column, Column):
                _put(record, path_parts(column.from_), _value(column, number))
        for child in spec.children:
            element: dict[str, Any] = {}
            for column in child.columns:
                if isinstance(column, Column) and column.from_ != "_value":
                    _put(element, path_parts(column.from_), _value(column, number))
            _put(record, path_parts(child.from_), [element])
        records.append(record)
    text = "\n".join(json.dumps(each, ensure_ascii=False) for each in records)
    if spec.source.layout == "array":
        text = json.dumps(records, ensure_ascii=False, indent=2)
    return "sample.json", text + "\n"


def _put(record: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        record = record.setdefault(name, {})
    record[path[-1]] = value


def _text(column: MappedColumn | DroppedColumn | None, number: int) -> str:
    value = _value(column, number) if isinstance(column, Column) else f"text {number}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        return json.dumps(value)
    if isinstance(value, float) and isinstance(column, Column):
        return str(value).replace(".", column.decimal)
    return str(value)


def _value(column: Column, number: int) -> Any:
    if column.formats and column.type.kind in ("date", "timestamp"):
        return _moment(column.formats[0], number)
    return _of_type(column.type, number)


def _of_type(kind: TargetType, number: int) -> Any:
    """A value that a column of this type takes, as JSON has it."""
    match kind.kind:
        case "smallint" | "int" | "bigint":
            return number
        case "decimal" | "real" | "double":
            return number + 0.5 if "," in str(kind) and not str(kind).endswith(",0)") else float(number)
        case "boolean":
            return number % 2 == 1
        case "date":
            return f"2026-01-{number:02}"
        case "timestamp":
            return f"2026-01-{number:02} 03:04:05"
        case "array":
            return [_of_type(kind.parts[0][1], number)]
        case "struct":
            return {name: _of_type(part, number) for name, part in kind.parts}
        case "map":
            return {"key": _of_type(kind.parts[-1][1], number)}
        case _:
            return f"t{number}"


def _moment(format: str, number: int) -> Any:
    import datetime as dt

    if format in _EPOCHS:
        return _EPOCHS[format] + number
    moment = dt.datetime(2026, 1, number, 3, 4, 5, tzinfo=dt.UTC)
    return moment.isoformat() if format == "iso" else moment.strftime(format)
