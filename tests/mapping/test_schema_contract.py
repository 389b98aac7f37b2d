"""Raw columns that the mapping does not name: kept, made columns, refused, or dropped and counted; never just gone."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datalake_assets.errors import SchemaChanged
from datalake_assets.mapping import batch
from datalake_assets.mapping.schema_contract import MAX_EVOLVED_COLUMNS, column_name
from tests.mapping.builders import Mapped, build_spec, run_mapping

AUTHOR = {"from": "user.name", "to": "author", "type": "varchar"}
MODES = ["rescue", "evolve", "freeze", "discard_row", "discard_value"]
CSV = b"id,New,other\n1,x,\n2,,\nbad,y,z\n3,1.10,w\n"
JSON = b"""{"id": 1, "New": "x"}
{"id": 2, "New": null}
{"id": "bad", "New": "y", "other": "z"}
{"id": 3, "New": 1.10, "other": "w"}
"""


def _map(mode: str, content: bytes, folder: Path, *columns: Any) -> Mapped:
    words: dict[str, Any] = {"format": "json"} if content.startswith(b"{") else {}
    spec = build_spec(*(columns or ("id:int!",)), on_schema_change=mode, **words)
    return run_mapping(spec, {"x": content}, folder)


@pytest.mark.parametrize("content", [CSV, JSON], ids=["csv", "json"])
def test_rescue_keeps_them_as_json(content: bytes, tmp_path: Path) -> None:
    mapped = _map("rescue", content, tmp_path)
    assert [json.loads(text or "{}") for text in mapped.values("_rescued_data")] == [
        {"New": "x"},
        {},
        {"New": "1.10" if content is CSV else 1.1, "other": "w"},
    ]
    assert mapped.result.evolved == ()


@pytest.mark.parametrize("content", [CSV, JSON], ids=["csv", "json"])
def test_evolve_makes_text_columns_behind_the_declared_ones(content: bytes, tmp_path: Path) -> None:
    mapped = _map("evolve", content, tmp_path)
    assert mapped.table.column_names == ["id", "_rescued_data", "_source_file", "_source_row", "new", "other"]
    assert mapped.values("new") == ["x", None, "1.10"]
    assert mapped.values("other") == [None, None, "w"]
    assert mapped.values("_rescued_data") == [None, None, None]
    assert [(c.name, str(c.type), c.source) for c in mapped.result.evolved] == [
        ("new", "varchar", "New"),
        ("other", "varchar", "other"),
    ]
    assert mapped.result.notes[0].startswith("raw column 'New' (for example 'x', first in s3://raw/x row")


def test_evolve_changes_nothing_where_nothing_is_new(tmp_path: Path) -> None:
    mapped = _map("evolve", b"id\n1\n", tmp_path)
    assert mapped.table.column_names == ["id", "_rescued_data", "_source_file", "_source_row"]


def test_evolve_takes_what_is_new_within_an_object(tmp_path: Path) -> None:
    content = b'{"user": {"name": "a", "age": 3.10, "ZIP": {"a": 1.0}}}\n{"user": "bob"}\n'
    mapped = _map("evolve", content, tmp_path, AUTHOR)
    assert (mapped.values("user_age"), mapped.values("user_zip")) == (["3.10", None], ['{"a":1.0}', None])
    # It is an object elsewhere, so it is no column as a whole.
    assert mapped.values("_rescued_data") == [None, '{"user":"bob"}']


def test_evolve_rescues_what_cannot_be_a_column(tmp_path: Path) -> None:
    content = '{"id": 1, "ID": 2, "DT": 3, "日本": 4, "a b": 5, "a-b": 6}\n'.encode()
    mapped = _map("evolve", content, tmp_path)
    assert mapped.values("a_b") == ["5"]
    assert json.loads(mapped.values("_rescued_data")[0]) == {"ID": 2, "DT": 3, "日本": 4, "a-b": 6}
    assert any("'日本'" in note and "no column can be called so" in note for note in mapped.result.notes)


def test_evolve_does_not_make_a_column_of_every_key(tmp_path: Path) -> None:
    record = {"id": 1} | {f"key {number:04d}": number for number in range(MAX_EVOLVED_COLUMNS + 50)}
    mapped = _map("evolve", json.dumps(record).encode(), tmp_path)
    assert len(mapped.result.evolved) == MAX_EVOLVED_COLUMNS
    assert len(json.loads(mapped.values("_rescued_data")[0])) == 50
    assert len(mapped.result.notes) < 50


def test_all_files_of_a_partition_have_the_columns_that_a_later_one_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MAX_BATCH_FILES", 1)
    spec = build_spec("id:int!", format="json", on_schema_change="evolve")
    files = {"1": b'{"id": 1}', "2": b'{"id": 2, "b": "x"}', "3": b'{"id": 3, "a": "y"}', "4": b'{"id": 4, "b": "z"}'}
    mapped = run_mapping(spec, files, tmp_path)
    schemas = [pq.read_schema(path).names for path in mapped.result.good_files]
    assert schemas == [["id", "_rescued_data", "_source_file", "_source_row", "b", "a"]] * 4
    assert mapped.values("b") == [None, "x", None, "z"]
    assert not list((tmp_path / "out").rglob("*.wider"))


@pytest.mark.parametrize("content", [CSV, JSON], ids=["csv", "json"])
def test_freeze_refuses_with_the_difference(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(SchemaChanged) as caught:
        _map("freeze", content, tmp_path, "id:int!", "gone:varchar")
    message = str(caught.value)
    assert message.startswith("s3://raw/x: the raw files have 2 columns that the mapping does not name:")
    assert "+ 'New' (for example 'x', first in s3://raw/x row" in message
    assert "+ 'other' (for example 'z', first in s3://raw/x row" in message
    assert ("- optional column 'gone' is missing" in message) == (content is CSV)
    assert "on_schema_change: freeze" in message


def test_freeze_minds_a_new_column_without_a_value(tmp_path: Path) -> None:
    with pytest.raises(SchemaChanged, match=r"\+ 'new' \(null everywhere, first in s3://raw/x\)"):
        _map("freeze", b"id,new\n1,\n", tmp_path)


def test_freeze_takes_what_it_knows(tmp_path: Path) -> None:
    dropped = {"from": "note", "drop": True}
    assert _map("freeze", b"id,note,\n1,secret,\n", tmp_path, "id:int!", dropped).values("id") == [1]


@pytest.mark.parametrize("content", [CSV, JSON], ids=["csv", "json"])
def test_discard_row_sets_the_row_aside(content: bytes, tmp_path: Path) -> None:
    mapped = _map("discard_row", content, tmp_path)
    assert mapped.values("id") == [2]
    assert mapped.bad[0]["_column"] == "_rescued_data"
    assert mapped.bad[0]["_reason"] == (
        '_rescued_data \'{"New":"x"}\' is not named by the mapping, and on_schema_change is discard_row'
    )
    assert mapped.result.rows_bad == 3


@pytest.mark.parametrize("content", [CSV, JSON], ids=["csv", "json"])
def test_discard_value_counts_what_it_drops(content: bytes, tmp_path: Path) -> None:
    mapped = _map("discard_value", content, tmp_path)
    assert mapped.values("_rescued_data") == [None, None, None]
    assert [re.sub(r" \(.*\)", "", note) for note in mapped.result.notes] == [
        "2 values of the raw column 'New' discarded",
        "1 value of the raw column 'other' discarded",
    ]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Price in €", "price_in"),
        ("user.name", "user_name"),
        ("Größe (cm)", "groe_cm"),
        ("2024", "_2024"),
        ("a" * 80, "a" * 62),
        ("--", None),
        ("日本", None),
    ],
)
def test_names_of_columns_are_made_of_letters_digits_and_underscores(path: str, name: str | None) -> None:
    assert column_name(path) == name


_KEYS = st.sampled_from(["id", "user", "New", "new", "a b", "a.b", 'q"t', "日本", "_source_row", "x"])
_VALUES = st.sampled_from(["", "1", "x", "1.10", "ü", "null"])
_RECORDS = st.lists(st.dictionaries(_KEYS, _VALUES, max_size=6), min_size=1, max_size=5)


@pytest.mark.slow
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=_RECORDS, mode=st.sampled_from(MODES), is_nested=st.booleans())
def test_every_raw_value_is_found_again_or_counted(
    records: list[dict[str, str]], mode: str, is_nested: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    header = list(dict.fromkeys(["id", *(key for record in records for key in record)]))
    words: dict[str, Any] = {"format": "json"} if is_nested else {}
    spec = build_spec("id:int", "user:varchar", on_schema_change=mode, **words)
    for record in records:
        record.setdefault("id", "")
    if is_nested:
        content = "".join(json.dumps(record) + "\n" for record in records)
    else:
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, header, lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        content = buffer.getvalue()
    surplus = {key for record in records for key in record} - {"id", "user"}
    try:
        mapped = run_mapping(spec, content.encode(), tmp_path_factory.mktemp("files"))
    except SchemaChanged:
        assert mode == "freeze"
        assert surplus
        return
    rows = {row["_source_row"]: row for row in mapped.good}
    aside = {row["_source_row"]: json.loads(row["_raw"]) for row in mapped.bad}
    assert len(rows) + len(aside) == len(records)
    counted = sum(int(note.split()[0]) for note in mapped.result.notes if "discarded" in note)
    columns = {column.source: column.name for column in mapped.result.evolved}
    dropped = 0
    for number, record in enumerate(records, start=1 if is_nested else 2):
        for key, value in record.items():
            if number in aside:
                assert aside[number][key] == value
                continue
            found = rows[number]
            if value == "" and (not is_nested or key in ("id", "user")):
                continue  # null
            rescued = json.loads(found["_rescued_data"] or "{}")
            quoted = '"' + key.replace('"', '""') + '"' if set(key) & set('."') else key
            if key in ("id", "user"):
                assert str(found[key]) == value
            elif mode == "discard_value":
                dropped += 1
            elif quoted in columns and key not in rescued:
                assert found[columns[quoted]] == value
            else:
                assert rescued[key] == value
    assert dropped == counted
