"""Elements of XML become objects; entities and broken files are refused."""

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from datalake_assets.errors import EmptyObject, UnreadableObject
from datalake_assets.formats import xml_records
from datalake_assets.formats.batches import MAX_DEPTH, MAX_RECORD_CHARACTERS
from datalake_assets.formats.records import NESTED_COLUMNS, open_records
from datalake_assets.formats.source_format import SourceFormat


def rows(folder: Path, content: str | bytes, tag: str = "row") -> list[tuple[int, str | None, Any]]:
    path = folder / "it.xml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    file = open_records(path, SourceFormat(format="xml", row_tag=tag), uri="s3://raw/it.xml")
    found: list[tuple[int, str | None, Any]] = []
    for batch in file.batches():
        assert tuple(batch.schema.names) == NESTED_COLUMNS
        found += [(one["row"], one["reason"], json.loads(one["record"] or "null")) for one in batch.to_pylist()]
    return found


def test_attributes_texts_and_repeated_children(tmp_path: Path) -> None:
    content = """<?xml version="1.0"?><!-- it --><data xmlns:dc="urn:x"><meta>no row</meta>
      <row id="1" x="a&amp;b"><dc:title>T &lt; "q"</dc:title><tag>a</tag><tag>b</tag><none/><n><m>1.50</m></n></row>
      <row id="2">text <b lang="de">bold</b> more</row>
      <row>just text</row><row/>
    </data>"""
    assert rows(tmp_path, content) == [
        (1, None, {"@id": "1", "@x": "a&b", "dc:title": 'T < "q"', "tag": ["a", "b"], "none": None,
                   "n": {"m": "1.50"}}),
        (2, None, {"@id": "2", "b": {"@lang": "de", "#text": "bold"}, "#text": "text  more"}),
        (3, None, {"#text": "just text"}),
        (4, None, {"#text": None}),
    ]  # fmt: skip


def test_a_prefix_need_not_be_said_and_rows_within_rows_are_children(tmp_path: Path) -> None:
    content = '<r xmlns:a="urn:a"><a:row><row>1</row></a:row></r>'
    assert rows(tmp_path, content) == [(1, None, {"row": "1"})]


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1", "windows-1252"])
def test_the_file_says_its_encoding(encoding: str, tmp_path: Path) -> None:
    content = f'<?xml version="1.0" encoding="{encoding}"?><d><row>größe</row></d>'
    assert rows(tmp_path, content.encode(encoding)) == [(1, None, {"#text": "größe"})]


BOMB = '<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><d><row>&b;</row></d>'
OUTSIDE = '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><d><row>&a;</row></d>'


@pytest.mark.parametrize("content", [BOMB, OUTSIDE])
def test_entities_are_refused(content: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableObject, match="declares the entity 'a'"):
        rows(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("<d><row>1</row>", r"line 1, .*truncated"),
        ("<d>\n<row>1</roww></d>", r"line 2, .*mismatched tag"),
        ("id,name\n1,2\n", r"line 1"),
        ("<d><item/><item/></d>", r"no element <row>; expected one of <d>, <item>"),
    ],
)
def test_what_is_no_such_xml_is_refused_with_its_place(content: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableObject, match=told):
        rows(tmp_path, content)


def test_nothing_is_empty(tmp_path: Path) -> None:
    with pytest.raises(EmptyObject):
        rows(tmp_path, "")


def test_ten_thousand_levels_break_their_row_only(tmp_path: Path) -> None:
    deep = "<a>" * 10_000 + "</a>" * 10_000
    found = rows(tmp_path, f"<d><row>{deep}</row><row>fine</row></d>")
    assert found == [(1, f"is nested more than {MAX_DEPTH} levels deep", None), (2, None, {"#text": "fine"})]
    assert rows(tmp_path, "<a>" * 10_000 + "<row>x</row>" + "</a>" * 10_000) == [(1, None, {"#text": "x"})]


def test_a_row_that_is_too_long_is_broken_within_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "it.xml.gz"
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(b"<d><row><a>")
        for _ in range(100):
            out.write(b"x" * (1 << 20))
        out.write(b"</a></row><row>fine</row></d>")
    file = open_records(path, SourceFormat(format="xml", row_tag="row"), uri="s3://raw/it.xml.gz")
    tracemalloc.start()
    [batch] = file.batches()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * MAX_RECORD_CHARACTERS
    assert batch.column("reason").to_pylist() == ["is longer than 16 MB", None]
    assert batch.column("record").to_pylist() == [None, '{"#text": "fine"}']


def test_an_endless_tag_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_records, "_MAX_TOKEN_BYTES", 1 << 20)
    with pytest.raises(UnreadableObject, match="is longer than 1 MB"):
        rows(tmp_path, '<d><row a="' + "x" * (4 << 20) + '"/></d>')
