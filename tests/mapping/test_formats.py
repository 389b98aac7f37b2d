"""Every format of raw files, as docs/raw-formats.md declares them, and that a binary file keeps all its values."""

import datetime as dt
import decimal
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from pyarrow import orc

from datalake_assets.errors import BadInput, UnreadableObject
from datalake_assets.mapping.spec import MappingSpec
from datalake_assets.project import PROJECT_ROOT
from tests.mapping.builders import Mapped, build_spec, run_mapping

DOCUMENT = (PROJECT_ROOT / "docs" / "raw-formats.md").read_text(encoding="utf-8")
EXAMPLES = {
    f"{title} {number}": yaml.safe_load(block)
    for title, section in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", section, re.MULTILINE | re.DOTALL), start=1)
}

CSV = 'Report of "today\n\nid;price;price\n;EUR;USD\n1;1,5;2;x\n2;9.90;\n3\ntotal;3;\n'
DOCUMENT_OF_POSTS = {
    "data": {"items": [{"id": 1, "user": {"name": "Zoë"}, "tags": ["a"]}, {"id": 2, "user": None}, {"id": None}]}
}
BOOKS = """<?xml version="1.0"?><shelf>
<book isbn="1"><title>One</title><price currency="EUR">9.90</price></book>
<book isbn="2"><title/><year>1999</year></book>
<book><title>Three</title></book></shelf>"""
LOG = """203.0.113.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 12 "-" "curl"
not a line of a log
203.0.113.8 - ann [01/Jan/2026:10:00:01 +0000] "GET /a b HTTP/1.1" 404 0 "-" "curl"
"""
TABLE = pa.table(
    {
        "id": [1, 2, None],
        "price": pa.array([decimal.Decimal("1.10"), None, decimal.Decimal("2.00")], pa.decimal128(12, 2)),
        "at": pa.array([dt.datetime(2026, 1, 1, 10, 0, 0, 123456), None, None], pa.timestamp("us")),
        "user": [{"name": "Zoë", "age": 3}, None, {"name": None, "age": None}],
    }
)


def _avro() -> bytes:
    user = {"type": "record", "name": "user", "fields": [{"name": "name", "type": "string"}]}
    fields = [{"name": "id", "type": ["null", "long"]}, {"name": "user", "type": ["null", user]}]
    buffer = io.BytesIO()
    rows = [{"id": 1, "user": {"name": "Zoë"}}, {"id": 2, "user": None}, {"id": None, "user": None}]
    fastavro.writer(buffer, {"type": "record", "name": "post", "fields": fields}, rows)
    return buffer.getvalue()


def _parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(TABLE, buffer)
    return buffer.getvalue()


def _orc() -> bytes:
    buffer = io.BytesIO()
    orc.write_table(TABLE, buffer)
    return buffer.getvalue()


# What the example reads: content, column, its values in the table, the numbers of the rows set aside.
SAMPLES: dict[str, tuple[Callable[[], bytes], str, list[Any], list[int]]] = {
    "CSV 1": (CSV.encode, "price_eur", [decimal.Decimal("9.90"), None], [5]),
    "CSV 2": (lambda: b"1,Berlin\n2,Wien\nx,y\n", "city", ["Berlin", "Wien"], [3]),
    "JSON 1": (lambda: json.dumps(DOCUMENT_OF_POSTS).encode(), "author", ["Zoë", None], [3]),
    "XML 1": (BOOKS.encode, "price", [decimal.Decimal("9.90"), None], [3]),
    "Avro 1": (_avro, "author", ["Zoë", None], [3]),
    "ORC 1": (_orc, "at", [dt.datetime(2026, 1, 1, 10, 0, 0, 123456), None], [3]),
    "Parquet 1": (_parquet, "author", ["Zoë", None], [3]),
    "Logs 1": (LOG.encode, "status", [200, 404], [2]),
}


def _map(example: dict[str, Any], content: bytes, folder: Path) -> Mapped:
    spec = MappingSpec.model_validate(example | {"bad_rows": {"fail_above": 1.0}})
    return run_mapping(spec, {"file": content}, folder)


def test_every_example_has_a_sample() -> None:
    assert EXAMPLES.keys() == SAMPLES.keys()


@pytest.mark.parametrize("title", SAMPLES)
def test_an_example_of_the_documentation_reads_its_sample(title: str, tmp_path: Path) -> None:
    content, column, values, aside = SAMPLES[title]
    mapped = _map(EXAMPLES[title], content(), tmp_path)
    assert mapped.values(column) == values
    assert mapped.bad_rows == aside
    assert all(field.nullable for field in mapped.table.schema)


def test_what_is_left_over_of_a_log_line_or_an_element_is_rescued(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "xml").mkdir()
    log = _map(EXAMPLES["Logs 1"], LOG.encode(), tmp_path / "log")
    assert json.loads(log.values("_rescued_data")[1])["user"] == "ann"
    xml = _map(EXAMPLES["XML 1"], BOOKS.encode(), tmp_path / "xml")
    assert xml.values("_rescued_data") == [None, '{"year":"1999"}']


@pytest.mark.parametrize("format", ["avro", "orc", "parquet", "xml"])
@pytest.mark.parametrize(
    "content",
    [b"", b"id,name\n1,x\n", bytes(range(256)) * 20, b"<shelf>", b"PAR1" + b"\0" * 50, b"Obj\x01" + b"\0" * 50, b"ORC"],
    ids=["empty", "text", "binary", "cut XML", "cut Parquet", "cut Avro", "cut ORC"],
)
def test_what_is_not_of_the_format_fails_by_name(format: str, content: bytes, tmp_path: Path) -> None:
    words: dict[str, Any] = {"row_tag": "book"} if format == "xml" else {}
    spec = build_spec("id:int", format=format, **words)
    with pytest.raises(BadInput, match=r"^s3://raw/bad: .+"):
        run_mapping(spec, {"bad": content}, tmp_path)


@pytest.mark.parametrize("title", ["Avro 1", "ORC 1", "Parquet 1", "XML 1"])
def test_a_truncated_file_fails_by_name(title: str, tmp_path: Path) -> None:
    content = SAMPLES[title][0]()
    with pytest.raises(UnreadableObject, match=r"^s3://raw/file: .+"):
        _map(EXAMPLES[title], content[: len(content) - 20], tmp_path)


def test_files_of_another_format_under_the_same_prefix_fail_by_name(tmp_path: Path) -> None:
    spec = build_spec("id:int", format="parquet")
    with pytest.raises(UnreadableObject, match=r"^s3://raw/stray.json: .*parquet"):
        run_mapping(spec, {"good.parquet": _parquet(), "stray.json": b'{"id": 1}'}, tmp_path)
