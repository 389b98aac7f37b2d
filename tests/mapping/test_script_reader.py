"""The reader of printed programs finds the records that the platform's own engine finds."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datalake_assets.errors import UnreadableObject
from datalake_assets.mapping.scripts.script import build_source
from datalake_assets.mapping.scripts.script_reader import BadFile, read_csv
from datalake_assets.mapping.spec import MappingSpec
from tests.mapping.builders import BUCKET, build_spec, run_mapping

THREE = ("a:varchar", "b:varchar", "c:varchar")
FILES: list[tuple[bytes, dict[str, Any]]] = [
    (b'a,b,c\n1, "2" ,3\n4,  5 ,6\n1,\t"2",3\n', {}),
    (b'a,b,c\n1,"2" x,3\n4,5,6\n', {}),
    (b'a,b,c\n1,"a"x "b\nc",2,3\n4,5,6\n', {}),
    (b'a,b,c\n1,"a"x,"b\nc"\n4,5,6\n1,"a\nb"x,3\n4,5,6\n', {}),
    (b'a,b,c\n1,2,3,\n4,5,6,7\n4,5,6,,\n4,5,6,""\n4,5,6, \n1,2,3\n', {}),
    (b'a,b,c\n1,2\n"x"y,2\n1,"2"x,3,4\n4,5,6\n', {}),
    (b'a,b,c\n1,""\n1,"",""\n"""","a""b",""""""\n', {}),
    (b'a,b,c\n1,2,"3\n4,5,6"\n1,2,3\n', {}),
    (b'a,b,c\n1,a\x00,"b\xff"\n1,\xff\n\xff,2,3,4\n1,\xe4\xb8\n1,2,3\n', {}),
    (b'a,b,c\n1,2,3"\n"1"2\n1,2,"3""\n1,"x""y"z,3\n4,5,6\n', {}),
    (b'a,b,c\n1,"2\r",3\r\n4,5,6\r\n', {}),
    (b"a,b,c\r\n1,2,x\r\r\n4,5,6\r\n", {}),
    (b'\n\na,b,c\n\n1,2,3\n\n\n4,5\n7,8,9\n\n"x\n\ny",2,3\n\n\n', {}),
    (b'\r\ra,b,c\r\r1,"x\ry",3\r4\r\r\r', {}),
    (b"\xef\xbb\xbfa,b,c\n1,2,3", {}),
    (b' a ,"b",c \n1,2,3\n', {}),
    (b"a,b,c\n", {}),
    (b"c,x,a,,b,x\n3,s,1,t,2,u\n3,,1,,2,\n", {}),
    (b'a,b,c,"q""\x01\n"\n1,2,3,"\x01\x1f\x7f/\\"\n', {}),
    ("a,b,c\nä,€,😀\n".encode(), {}),
    (b"a,b,c\n1,2," + b"x" * 4_200_000 + b"\n4,5,6\n", {}),
    (b"a,b,c\n1,'x\\'y',3\n1,x\\'y,3\n1,'x\\\\y',3\n1,'x''y',3\n1,'x\\ny',3\n4,5,6\n", {"quote": "'", "escape": "\\"}),
    (b'a,b,c\n1,"2,3\n4,5,6\n', {"quote": ""}),
    (b'a\tb\tc\n1\t "2"\t3\n1\t\t\n', {"delimiter": "\t"}),
    (b'a b c\n1  2\n1 2 3\n1 "2" 3\n', {"delimiter": " "}),
    ('a;b;c\n1;"x;";ä\n'.encode("latin-1"), {"delimiter": ";", "encoding": "latin-1"}),
    ("a,b,c\n1,ä,3\n4,5\n".encode("utf-16"), {"encoding": "utf-16"}),
    (b"a,b,c\n1,NA,-\n,NA,\n", {"null_values": ["", "NA"]}),
]


@pytest.mark.parametrize(("content", "source"), FILES, ids=[str(number) for number in range(len(FILES))])
def test_records_are_those_of_the_engine(content: bytes, source: dict[str, Any], tmp_path: Path) -> None:
    spec = build_spec(*THREE, **source)
    mapped = run_mapping(spec, content, tmp_path)
    good, bad = read(spec, content)
    assert good == [(row["_source_row"], row["a"], row["b"], row["c"], row["_rescued_data"]) for row in mapped.good] + [
        (row, "NUL") for row in nul_rows(mapped.bad)
    ]
    assert bad == [each for each in broken(mapped.bad) if each[0] not in nul_rows(mapped.bad)]


def test_a_file_of_one_column_tells_a_blank_line_from_an_empty_value(tmp_path: Path) -> None:
    spec = build_spec("a:varchar")
    content = b'a\n1\n\n""\n2,\n2,3\n \n"x"y\n'
    mapped = run_mapping(spec, content, tmp_path)
    good, bad = read(spec, content)
    assert [row[:2] for row in good] == [(row["_source_row"], row["a"]) for row in mapped.good]
    assert bad == broken(mapped.bad)


@pytest.mark.parametrize(
    ("name", "compress"),
    [("x.csv.gz", gzip.compress), ("x.csv.bz2", bz2.compress), ("x.csv.xz", lzma.compress)],
    ids=["gzip", "bzip2", "xz"],
)
def test_compressed_files_are_read_by_the_end_of_their_name(name: str, compress: Callable[[bytes], bytes]) -> None:
    good, _ = read(build_spec(*THREE), compress(b"a,b,c\n1,2,3\n"), name)
    assert [row[:4] for row in good] == [(2, "1", "2", "3")]


def test_a_zip_archive_holds_one_file() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("a.csv", "a,b,c\n1,2,3\n")
    good, _ = read(build_spec(*THREE), archive.getvalue(), "x.zip")
    assert good[0][:4] == (2, "1", "2", "3")
    with zipfile.ZipFile(archive, "a") as zipped:
        zipped.writestr("b.csv", "a,b,c\n")
    with pytest.raises(BadFile, match="holds 2 files"):
        read(build_spec(*THREE), archive.getvalue(), "x.zip")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "nothing but blank lines"),
        (b"\n\n", "nothing but blank lines"),
        (b"x,y\n1,2\n", "lacks 'a', 'b', 'c'"),
        (b"A,b,c\n1,2,3\n", "lacks 'a'"),
        (b"a,b,c,a\n1,2,3,4\n", "names 'a' more than once"),
        (b'a,b,c\n1,"2,3\n4,5,6\n', "a quote is not closed near line 2"),
        (b"\xff\xfe,b,c\n1,2,3\n", "the header is not CSV"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(content: bytes, why: str) -> None:
    with pytest.raises(BadFile, match=why):
        read(build_spec(*THREE), content)


def test_broken_compression_is_named() -> None:
    with pytest.raises(BadFile, match="compressed data is broken"):
        read(build_spec(*THREE), gzip.compress(b"a,b,c\n1,2,3\n" * 1000)[:-20], "x.csv.gz")


def test_the_engine_refuses_the_same_open_quote(tmp_path: Path) -> None:
    with pytest.raises(UnreadableObject, match="quote is not closed"):
        run_mapping(build_spec(*THREE), b'a,b,c\n1,"2,3\n4,5,6\n', tmp_path)


Rows = list[tuple[Any, ...]]


def read(spec: MappingSpec, content: bytes, name: str = "file.csv") -> tuple[Rows, Rows]:
    """Good rows as (line, texts, rescued) and bad ones as (line, reason, raw)."""
    good: Rows = []
    bad: Rows = []
    nulls = spec.source.null_values
    for row in read_csv(io.BytesIO(content), BUCKET + name, build_source(spec)):
        texts = tuple(None if text in nulls else text for text in row.texts)
        rescued = None if row.surplus is None else f"{{{row.surplus}}}"
        if row.reason is not None:
            bad.append((row.source_row, f"record {row.reason}", row.raw))
        elif any("\0" in (text or "") or len(text or "") > 65_535 for text in texts):
            good.append((row.source_row, "NUL"))
        else:
            good.append((row.source_row, *texts, rescued))
    return good, bad


def broken(rows: list[dict[str, Any]]) -> Rows:
    return [(row["_source_row"], row["_reason"], row["_raw"]) for row in rows]


def nul_rows(rows: list[dict[str, Any]]) -> list[int]:
    """Lines of rows whose texts the mapping, not the reader, sets aside."""
    return [row["_source_row"] for row in rows if row["_column"] is not None]
