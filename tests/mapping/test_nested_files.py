"""Files of nested records: fields by their path, in their spelling, and what is left over of each record."""

import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datalake_assets.errors import EmptyObject, UnreadableObject, WrongHeader
from datalake_assets.mapping import record_paths
from datalake_assets.mapping.scripts.script import build_mapping
from datalake_assets.mapping.scripts.script_duckdb import map_to_parquet
from tests.mapping.builders import Mapped, build_spec, run_mapping

AUTHOR = {"from": "user.name", "to": "author", "type": "varchar"}


def _lines(*records: Any) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def _map(content: bytes, folder: Path, *columns: str | dict[str, Any], name: str = "x.json", **source: Any) -> Mapped:
    return run_mapping(build_spec(*columns, format="json", **source), {name: content}, folder)


def test_fields_are_found_by_their_path(tmp_path: Path) -> None:
    content = _lines({"id": 1, "user": {"name": "ann"}}, {"id": 2}, {"id": 3, "user": None}, {"id": 4, "user": "bob"})
    mapped = _map(content, tmp_path, "id:int!", AUTHOR)
    assert mapped.values("author") == ["ann", None, None, None]
    assert mapped.values("_rescued_data") == [None, None, None, '{"user":"bob"}']


def test_names_with_dots_stand_in_quotes(tmp_path: Path) -> None:
    column = {"from": '"first.name".a', "to": "a", "type": "varchar"}
    assert _map(_lines({"first.name": {"a": "x"}, "first": 1}), tmp_path, column).values("a") == ["x"]


def test_numbers_keep_their_spelling(tmp_path: Path) -> None:
    spellings = [
        "1.10",
        "12345678901234567.89",
        "1e400",
        "1E5",
        "-0",
        "0.00001",
        "5.0",
        "123456789012345678901234567890",
    ]
    content = "".join(f'{{"n": {text}, "rest": [{text}, "{text}"]}}\n' for text in spellings).encode()
    mapped = _map(content, tmp_path, "n:varchar")
    assert mapped.values("n") == spellings
    assert mapped.values("_rescued_data") == [f'{{"rest":[{text},"{text}"]}}' for text in spellings]


def test_decimals_are_exact(tmp_path: Path) -> None:
    mapped = _map(b'{"n": 12345678901234567.89}\n', tmp_path, "n:decimal(20,2)")
    assert str(mapped.values("n")[0]) == "12345678901234567.89"


def test_nested_values_become_json_text(tmp_path: Path) -> None:
    mapped = _map(b'{"tags": ["a", 1.50, {"b": null}]}\n', tmp_path, "tags:varchar")
    assert mapped.values("tags") == ['["a",1.50,{"b":null}]']


def test_what_is_not_mapped_of_an_object_is_rescued(tmp_path: Path) -> None:
    content = _lines({"user": {"name": "ann", "age": 3, "gone": None}, "x": None, "y": {"z": None}})
    assert _map(content, tmp_path, AUTHOR).values("_rescued_data") == ['{"y":{"z":null},"user":{"age":3}}']


def test_a_masked_record_that_is_set_aside_keeps_what_is_left_over(tmp_path: Path) -> None:
    masked = {"from": "user.mail", "to": "mail", "type": "varchar", "mask": "hash"}
    content = _lines({"id": "x", "user": {"mail": "a@example.com", "age": 3}, "y": 1.5})
    mapped = _map(content, tmp_path, "id:int!", masked)
    raw = json.loads(mapped.bad[0]["_raw"])
    assert "a@example.com" not in mapped.bad[0]["_raw"]
    assert (raw["id"], raw["user"], raw["y"]) == ("x", {"age": 3}, 1.5)


@pytest.mark.parametrize("stands_there", ["a@example.com", ["a@example.com"], [{"mail": "a@example.com"}]])
def test_what_stands_in_place_of_an_object_with_a_masked_value_is_not_told(
    tmp_path: Path, stands_there: object
) -> None:
    masked = {"from": "user.mail", "to": "mail", "type": "varchar", "mask": "hash"}
    content = _lines({"id": 1, "user": stands_there}, {"id": "x", "user": stands_there, "more": 1})
    mapped = _map(content, tmp_path, "id:int!", masked)
    assert mapped.values("_rescued_data") == ['{"user":"***"}']
    assert json.loads(mapped.bad[0]["_raw"])["more"] == 1
    assert "example.com" not in mapped.bad[0]["_raw"]


def test_a_masked_value_whose_object_is_missing_leaves_nothing_over(tmp_path: Path) -> None:
    masked = {"from": "user.mail", "to": "mail", "type": "varchar", "mask": "hash"}
    mapped = _map(
        _lines({"id": 1}, {"id": 2, "user": None}, {"id": 3, "user": {"mail": "a"}}), tmp_path, "id:int!", masked
    )
    assert [row["_rescued_data"] for row in mapped.good] == [None, None, None]


@pytest.mark.parametrize(
    "whole",
    [
        {"from": "user", "to": "person", "type": "struct<age:int>"},
        {"nest": {"person": "user", "id": "id"}, "to": "both", "type": "struct<person:struct<age:int>,id:int>"},
        {"from": "user", "to": "person", "type": "struct<mail:int,age:int>"},
        {"from": "user", "to": "person", "type": "int"},
    ],
)
def test_a_masked_value_within_one_that_is_mapped_as_well_is_not_told(tmp_path: Path, whole: dict[str, object]) -> None:
    masked = {"from": "user.mail", "to": "mail", "type": "varchar", "mask": "redact"}
    content = _lines(
        {"id": 1, "user": {"age": 3}},
        {"id": 2, "user": {"mail": "a@example.com", "age": 3}},
        {"id": 3, "user": {"mail": "b@example.com", "age": "old"}},
    )
    mapped = _map(content, tmp_path, "id:int!", whole, masked)
    assert "example.com" not in json.dumps([*mapped.good, *mapped.bad], default=str)
    assert "example.com" not in str(mapped.result.reasons)
    assert len(mapped.good) + len(mapped.bad) == 3


def test_a_masked_value_of_a_child_is_not_told_of_what_stands_in_its_place(tmp_path: Path) -> None:
    child = {
        "table": "replies",
        "from": "replies",
        "columns": [{"from": "user.mail", "to": "mail", "type": "varchar", "mask": "hash"}],
    }
    content = _lines({"id": 1, "replies": [{"user": {"mail": "b@example.com"}}, {"user": "a@example.com"}]})
    spec = build_spec("id:int!", format="json", children=[child])
    mapped = run_mapping(spec, {"x.json": content}, tmp_path)
    assert mapped.values("_rescued_data") == ['{"replies[1]":{"user":"***"}}']


def test_a_record_that_names_a_member_twice_is_set_aside(tmp_path: Path) -> None:
    mapped = _map(b'{"id": 1, "id": 2}\n{"id": 3}\n', tmp_path, "id:int")
    assert mapped.values("id") == [3]
    assert (mapped.bad[0]["_reason"], mapped.bad[0]["_raw"]) == ("record has a member twice", '{"id": 1, "id": 2}')


def test_broken_and_bad_records_are_set_aside_as_they_were(tmp_path: Path) -> None:
    content = b'{"id": 1}\n\n{"id": "x", "n": 1.0}\n{"id": \n[1]\n{"id": 7}\n'
    mapped = _map(content, tmp_path, "id:int!")
    assert mapped.good_rows == [1, 6]
    assert mapped.bad_rows == [3, 4, 5]
    assert [row["_raw"] for row in mapped.bad] == ['{"id": "x", "n": 1.0}', '{"id": ', "[1]"]
    assert mapped.bad[0]["_reason"] == "id 'x' is not a valid int"
    assert mapped.bad[2]["_reason"] == "record is an array, not an object"
    (counts,) = mapped.result.files
    assert (counts.rows_in, counts.rows_good, counts.rows_bad) == (5, 2, 3)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'[{"id": 1}, {"id": 2}]', {}),
        (b'{"id": 1}{"id": 2}', {"layout": "concatenated"}),
        (b'{\n  "id": 1\n}\n{\n  "id": 2\n}\n', {}),
        (b'{"meta": {"n": 2}, "data": {"items": [{"id": 1}, {"id": 2}]}}', {"records": "data.items"}),
        (b'\xef\xbb\xbf{"id": 1}\r\n{"id": 2}', {}),
        ('{"id": 1}\n{"id": 2}'.encode("utf-16"), {"encoding": "utf-16"}),
    ],
    ids=["array", "concatenated", "over several lines", "within a document", "lines with BOM and CR LF", "UTF-16"],
)
def test_every_layout_gives_the_same_rows(content: bytes, words: dict[str, Any], tmp_path: Path) -> None:
    mapped = _map(content, tmp_path, "id:int!", **words)
    assert mapped.values("id") == [1, 2]
    assert mapped.good_rows == [1, 2]
    assert mapped.result.rows_bad == 0


def test_many_files_become_one_table_in_their_order(tmp_path: Path) -> None:
    files = {f"{number}.json.gz": gzip.compress(_lines({"id": number}, {"id": number})) for number in range(30)}
    mapped = run_mapping(build_spec("id:int!", format="json"), files, tmp_path)
    assert mapped.table["id"].to_pylist() == [number for number in range(30) for _ in range(2)]
    assert mapped.table["_source_row"].to_pylist() == [1, 2] * 30
    assert mapped.table["_source_file"].to_pylist()[-1] == "s3://raw/29.json.gz"
    assert len(mapped.result.good_files) == 1


def test_columns_stay_optional_in_the_parquet_files(tmp_path: Path) -> None:
    mapped = _map(_lines({"id": 1}), tmp_path, "id:int!")
    assert all(field.nullable for field in mapped.table.schema)


def test_records_without_any_mapped_member_fail_the_file(tmp_path: Path) -> None:
    with pytest.raises(
        WrongHeader, match=r"s3://raw/x.json: none of its 2 records has any of the mapped members.*'id'"
    ):
        _map(_lines({"ID": 1}, {"ID": 2}), tmp_path, "id:int!")


def test_an_array_without_elements_gives_no_rows(tmp_path: Path) -> None:
    mapped = _map(b"[]", tmp_path, "id:int!")
    assert (mapped.result.rows_in, mapped.table.num_rows) == (0, 0)


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("x.json", b"", EmptyObject, "zero bytes"),
        ("x.json", b" \n\n", EmptyObject, "blank"),
        ("x.json", b"id,name\n1,x\n", UnreadableObject, "no JSON"),
        ("x.json", bytes(range(256)) * 20, UnreadableObject, ""),
        ("x.json.gz", gzip.compress(_lines({"id": 1}) * 1000)[:-20], UnreadableObject, "truncated"),
        ("x.json.gz", b'{"id": 1}', UnreadableObject, "not compressed"),
        ("x.json", gzip.compress(b'{"id": 1}'), UnreadableObject, "gzip data"),
    ],
    ids=["empty", "blank", "CSV", "binary", "truncated gzip", "wrong extension", "undeclared gzip"],
)
def test_what_is_no_json_fails_the_file_by_name(
    name: str, content: bytes, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=f"^s3://raw/{name}: .*{message}"):
        run_mapping(build_spec("id:int!", format="json"), {"good.json": b'{"id": 1}', name: content}, tmp_path)


def test_ten_thousand_levels_cost_one_record(tmp_path: Path) -> None:
    deep = b'{"id": 2, "x": ' + b"[" * 10_000 + b"]" * 10_000 + b"}\n"
    mapped = _map(b'{"id": 1}\n' + deep + b'{"id": 3}\n', tmp_path, "id:int!")
    assert mapped.values("id") == [1, 3]
    assert "levels" in mapped.bad[0]["_reason"]


_NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5)
_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3))


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(record=st.dictionaries(_NAMES, _VALUES, max_size=5), data=st.data())
def test_taken_fields_and_the_surplus_make_up_the_record(record: dict[str, Any], data: st.DataObject) -> None:
    taken = data.draw(st.lists(st.sampled_from(sorted(record)), unique=True)) if record else []
    paths = ['"' + name.replace('"', '""') + '"' for name in taken]
    text = json.dumps(record, ensure_ascii=data.draw(st.booleans()))
    safe = record_paths.protected("record")
    with duckdb.connect() as connection:
        found, surplus = connection.execute(
            f"SELECT {record_paths.texts('safe', paths)}, {record_paths.surplus('safe', paths)} "
            f"FROM (SELECT {safe} AS safe FROM (SELECT ? AS record))",
            [text],
        ).fetchall()[0]
    rest = {name: value for name, value in record.items() if name not in taken and value is not None}
    assert (json.loads("{" + surplus + "}") if surplus is not None else {}) == rest
    for name, value in zip(taken, found, strict=True):
        original = record[name]
        if original is None or isinstance(original, str):
            assert value == original
        else:
            assert json.loads(value) == original


def test_a_program_tells_nothing_of_what_stands_in_place_of_a_masked_value_either(tmp_path: Path) -> None:
    masked = {"from": "user.mail", "to": "mail", "type": "varchar", "mask": "hash"}
    child = {"table": "replies", "from": "replies", "columns": [masked]}
    spec = build_spec("id:int!", masked, format="json", children=[child])
    records = [{"id": 1, "user": "a@example.com", "replies": [{"user": ["b@example.com"]}]}, {"id": "x", "user": "c@d"}]
    content = _lines(*records)
    mapped = run_mapping(spec, {"x.json": content}, tmp_path)
    (tmp_path / "x.json").write_bytes(content)
    out = tmp_path / "program"
    map_to_parquet(build_mapping("x", spec, ["*"], "duckdb"), [str(tmp_path / "x.json")], out, tmp_path)
    for folder, column, rows in (("good", "_rescued_data", mapped.good), ("quarantine", "_raw", mapped.bad)):
        with duckdb.connect() as connection:
            found = connection.execute(f"SELECT {column} FROM '{out / folder}/**/*.parquet'").fetchall()
        assert found == [(row[column],) for row in rows]
        assert "@" not in str(found)
