"""JSON files become records whatever their layout; what is broken is one record with its reason."""

import gzip
import json
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datalake_assets.errors import EmptyObject, UnreadableObject
from datalake_assets.formats import bytes as raw_bytes
from datalake_assets.formats.batches import MAX_DEPTH, MAX_RECORD_CHARACTERS
from datalake_assets.formats.json_records import JsonFile
from datalake_assets.formats.records import NESTED_COLUMNS, open_records
from datalake_assets.formats.source_format import SourceFormat

Row = tuple[int, str | None, str | None, str | None]


def rows(path: Path, **words: object) -> list[Row]:
    file = open_records(path, SourceFormat(format="json", **words), uri=f"s3://raw/{path.name}")
    assert file.names is None
    found: list[Row] = []
    for batch in file.batches():
        assert tuple(batch.schema.names) == NESTED_COLUMNS
        found.extend(zip(*(column.to_pylist() for column in batch.columns), strict=True))
    return found


def stored(folder: Path, content: str | bytes, name: str = "posts.json") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def records(found: Iterable[Row]) -> list[str]:
    return [record for _, reason, _, record in found if reason is None and record is not None]


@pytest.fixture(params=[7, 64, 1 << 20], ids=lambda size: f"{size}-byte-chunks")
def _pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the pieces are in which a file is read, its records are the same."""
    monkeypatch.setattr(raw_bytes, "CHUNK_BYTES", request.param)


OBJECTS = [
    '{"id": 1, "x": 1.50, "t": "a\\"}{"}',
    '{"id":123456789012345678901234567890}',
    '{"n": {"a": [1, {"b": null}]}}',
]


@pytest.mark.usefixtures("_pieces")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("\n".join(OBJECTS), {}),
        ("\r\n".join(OBJECTS) + "\r\n", {"layout": "lines"}),
        ("[" + ",\n ".join(OBJECTS) + "]", {}),
        ("[" + ",".join(OBJECTS) + "]\n", {"layout": "array"}),
        ("".join(OBJECTS), {}),
        ("  ".join(OBJECTS), {"layout": "concatenated"}),
        ('{"meta": {"items": [1]}, "data": {"skip": [[{}]], "items": [' + ", ".join(OBJECTS) + '], "more": 1}}',
         {"records": "data.items"}),
        ('{"pages": [{"items": [' + OBJECTS[0] + ']}, {"items": []}, {"items": [' + ",".join(OBJECTS[1:]) + "]}]}",
         {"records": "$.pages.items", "layout": "document"}),
    ],
)  # fmt: skip
def test_records_keep_their_original_spelling(content: str, words: dict[str, object], tmp_path: Path) -> None:
    found = rows(stored(tmp_path, content), **words)
    assert records(found) == OBJECTS
    assert [row for row, *_ in found] == [1, 2, 3]


@pytest.mark.usefixtures("_pieces")
def test_a_pretty_printed_document_is_one_record(tmp_path: Path) -> None:
    text = json.dumps({"id": 1, "tags": ["a", "ü"], "user": {"name": "x"}}, indent=2, ensure_ascii=False)
    assert records(rows(stored(tmp_path, text))) == [text]
    assert records(rows(stored(tmp_path, text + "\n" + text))) == [text, text]


@pytest.mark.usefixtures("_pieces")
def test_broken_lines_are_records_with_a_reason_and_their_line(tmp_path: Path) -> None:
    lines = ['{"id": 1}', "", '{"id": 2', '{"id": NaN}', "[1]", '{"id": 3} {"id": 4}', '{"id": "\\ud800"}', '{"id": 5}']
    found = rows(stored(tmp_path, "\n".join(lines)))
    assert [(row, record) for row, reason, _, record in found if not reason] == [(1, '{"id": 1}'), (8, '{"id": 5}')]
    assert [(row, raw) for row, reason, raw, _ in found if reason] == [
        (3, '{"id": 2'), (4, '{"id": NaN}'), (5, "[1]"), (6, '{"id": 3} {"id": 4}'), (7, '{"id": "\\ud800"}')
    ]  # fmt: skip
    told = [reason or "" for _, reason, _, _ in found if reason]
    assert "ends in the middle" in told[0]
    assert "NaN" in told[1]
    assert told[2] == "is an array, not an object"
    assert "followed by something else" in told[3]
    assert "surrogate" in told[4]


def test_a_wrong_byte_breaks_its_line_only(tmp_path: Path) -> None:
    found = rows(stored(tmp_path, b'{"a": "\xff"}\n{"a": "\xc3\xbc"}\n'))
    assert found[0][1] == "holds bytes that are no text in the encoding of the file"
    assert found[0][2] == '{"a": "\ufffd"}'
    assert found[1][3] == '{"a": "ü"}'


@pytest.mark.usefixtures("_pieces")
def test_a_broken_element_does_not_spoil_its_neighbours(tmp_path: Path) -> None:
    found = rows(stored(tmp_path, '[{"a": 1}, {"a" 2}, nonsense, 7, {"a": 3}]'))
    assert records(found) == ['{"a": 1}', '{"a": 3}']
    assert [raw for _, reason, raw, _ in found if reason] == ['{"a" 2}', "nonsense", "7"]


@pytest.mark.usefixtures("_pieces")
def test_a_text_that_is_never_closed_ends_with_its_line(tmp_path: Path) -> None:
    found = rows(stored(tmp_path, '[{"a": 1},\n{"a": "open},\n{"a": 3}]'))
    assert records(found) == ['{"a": 1}', '{"a": 3}']
    assert "not closed" in str(found[1][1])


@pytest.mark.usefixtures("_pieces")
@pytest.mark.parametrize(
    "content", ['[{"a": 1}, {"a": ', '[{"a": 1}, ', '[{"a": 1}', '{"a": 1} {"a": [1, 2', '{"a": 1}\n{"a": "x']
)
def test_a_truncated_file_ends_with_a_broken_record(content: str, tmp_path: Path) -> None:
    found = rows(stored(tmp_path, content))
    assert records(found) == ['{"a": 1}']
    assert found[-1][1]


@pytest.mark.parametrize("form", ["{}\n{}\n{}\n", "[{},{},{}]", "{}{}{}"])
def test_ten_thousand_levels_are_one_broken_record(form: str, tmp_path: Path) -> None:
    deep = '{"a":' * 10_000 + "1" + "}" * 10_000
    lists = '{"a":' + "[" * 10_000 + "]" * 10_000 + "}"
    found = rows(stored(tmp_path, form.replace("{}", "%s") % (deep, '{"ok": 1}', lists)))
    assert [reason for _, reason, _, _ in found] == [f"is nested more than {MAX_DEPTH} levels deep", None, found[0][1]]


def test_many_shallow_members_are_not_deep(tmp_path: Path) -> None:
    wide = json.dumps({"a": [[n] for n in range(2 * MAX_DEPTH)]})
    assert records(rows(stored(tmp_path, wide))) == [wide]


@pytest.mark.parametrize("form", ["lines", "array", "concatenated"])
def test_an_endless_line_is_broken_within_bounded_memory(form: str, tmp_path: Path) -> None:
    path = tmp_path / "huge.json.gz"
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(b"[" if form == "array" else b'{"ok": 0}\n')
        out.write(b'{"a": "')
        for _ in range(100):
            out.write(b"x" * (1 << 20))
        out.write(b'"}' + (b"," if form == "array" else b"\n") + b'{"ok": 1}' + (b"]" if form == "array" else b""))
    tracemalloc.start()
    found = rows(path, layout=form)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MAX_RECORD_CHARACTERS
    assert records(found)[-1] == '{"ok": 1}'
    assert [reason for _, reason, _, _ in found if reason] == ["is longer than 16 MB"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "cp1252"])
def test_other_encodings_are_declared(encoding: str, tmp_path: Path) -> None:
    found = rows(stored(tmp_path, '{"a": "ü"}\n{"a": "ö"}\n'.encode(encoding)), encoding=encoding)
    assert records(found) == ['{"a": "ü"}', '{"a": "ö"}']


@pytest.mark.parametrize("content", ["", "\n \n", "\ufeff"])
def test_nothing_is_empty(content: str, tmp_path: Path) -> None:
    with pytest.raises(EmptyObject, match="s3://raw/posts"):
        rows(stored(tmp_path, content))


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableObject, match="which is no JSON"):
        rows(stored(tmp_path, "id,name\n1,x\n"))
    with pytest.raises(UnreadableObject, match="no member 'data'"):
        rows(stored(tmp_path, '{"items": []}'), records="data")
    with pytest.raises(UnreadableObject, match="is no array"):
        rows(stored(tmp_path, '{"items": []}'), layout="array")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(
    objects=st.lists(st.dictionaries(st.text(), VALUES, max_size=4), min_size=1, max_size=6),
    form=st.sampled_from(["lines", "array", "concatenated", "pretty"]),
    size=st.integers(1, 40),
    is_ascii=st.booleans(),
)
def test_whatever_is_written_is_read_piece_by_piece(
    objects: list[dict[str, object]], form: str, size: int, is_ascii: bool
) -> None:
    wholes = [json.dumps(one, ensure_ascii=is_ascii, indent=2 if form == "pretty" else None) for one in objects]
    text = "[" + " ,".join(wholes) + "]" if form in ("array", "pretty") else ("\n" * (form == "lines")).join(wholes)
    pieces = [text[begin : begin + size] for begin in range(0, len(text), size)]
    layout = "array" if form == "pretty" else form
    source = SourceFormat(format="json", layout=layout)
    found = list(JsonFile(iter(pieces), text, source, "x", first_line=1).records())
    assert [one.reason for one in found] == [None] * len(objects)
    assert [one.record for one in found] == wholes
