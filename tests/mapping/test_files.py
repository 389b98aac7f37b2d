"""Whole files: compression, encodings, headers, many at once, and how many bad rows are too many."""

import gzip
import pickle
from pathlib import Path

import pyarrow as pa
import pytest

from datalake_assets.errors import EmptyObject, NoObjects, TooManyBadRows, UnreadableObject, WrongHeader
from datalake_assets.mapping.duckdb_engine import map_files
from datalake_assets.mapping.result import require_few_bad_rows
from tests.mapping.builders import build_spec, run_mapping

TWO = ("a:int!", "b:varchar")
CONTENT = b"a,b\n1,x\n2,y\n"


def _zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, codec="zstd", asbytes=True))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv.gz", gzip.compress(CONTENT)),
        ("two members.csv.GZ", gzip.compress(CONTENT[:6]) + gzip.compress(CONTENT[6:]) + b"\0" * 8),
        ("x.csv.zst", _zstd(CONTENT)),
        ("[odd] *?'\".csv", CONTENT),
    ],
    ids=["gzip", "gzip of two members", "zstd", "none"],
)
def test_compression_goes_by_the_name(name: str, content: bytes, tmp_path: Path) -> None:
    mapped = run_mapping(build_spec(*TWO), {name: content}, tmp_path)
    assert mapped.values("a") == [1, 2]
    assert mapped.values("_source_file") == [f"s3://raw/{name}"] * 2


def test_declared_compression_beats_the_name(tmp_path: Path) -> None:
    spec = build_spec(*TWO, compression="gzip")
    assert run_mapping(spec, {"x.csv": gzip.compress(CONTENT)}, tmp_path).values("a") == [1, 2]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv.gz", gzip.compress(CONTENT * 100)[:-20], "ends in the middle"),
        ("x.csv.gz", gzip.compress(CONTENT)[:-6] + b"xxxxxx", "broken"),
        ("x.csv.gz", gzip.compress(CONTENT) + b"trailing", "broken"),
        ("x.csv.gz", CONTENT, "not gzip data"),
        ("x.csv", gzip.compress(CONTENT), "is gzip data"),
        ("x.csv.zst", _zstd(CONTENT * 100)[:-5], "zstd data"),
        ("x.csv", b"PAR1\0\0\0\0", "a Parquet file"),
        ("x.csv", CONTENT.decode().encode("utf-16"), "UTF-16"),
        ("x.csv", CONTENT.decode().encode("utf-16-le"), "NUL bytes"),
        ("x.csv", bytes(range(256)) * 10, "NUL bytes"),
        ("x.csv", "ä,b\n1,2\n".encode("latin-1"), "the header is not text in utf-8: byte 0xe4 at 0"),
        ("x.csv", "a,b\n1,ä\n2,ö\n".encode("latin-1"), "none of its 2 records is valid utf-8"),
    ],
    ids=[
        "truncated gzip",
        "gzip with a wrong checksum",
        "gzip with something behind it",
        "text named gz",
        "gzip named csv",
        "truncated zstd",
        "Parquet",
        "UTF-16 with a mark",
        "UTF-16 without a mark",
        "binary",
        "Latin-1 in the header",
        "Latin-1 in every row",
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_unreadable(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UnreadableObject, match=f"^s3://raw/{name}: .*{message}"):
        run_mapping(build_spec(*TWO), {name: content}, tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", b""),
        ("x.csv.gz", b""),
        ("x.csv.gz", gzip.compress(b"")),
        ("x.csv", b"\n\r\n\n"),
        ("x.csv", b"\xef\xbb\xbf"),
    ],
    ids=["empty", "empty gz", "gz of nothing", "blank lines", "BOM only"],
)
def test_a_file_without_content_is_empty(name: str, content: bytes, tmp_path: Path) -> None:
    with pytest.raises(EmptyObject, match=f"^s3://raw/{name}: "):
        run_mapping(build_spec(*TWO), {"good.csv": CONTENT, name: content}, tmp_path)


def test_no_files_are_no_empty_result(tmp_path: Path) -> None:
    with pytest.raises(NoObjects):
        map_files(build_spec(*TWO), [], tmp_path)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-8-sig"])
def test_declared_encodings_are_read(encoding: str, tmp_path: Path) -> None:
    content = "a,b\n1,é\n2,\n".encode(encoding)
    assert run_mapping(build_spec(*TWO, encoding=encoding), content, tmp_path).values("b") == ["é", None]


def test_a_wrong_declared_encoding_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableObject, match="not text in ascii"):
        run_mapping(build_spec(*TWO, encoding="ascii"), "a,b\n1,é\n".encode(), tmp_path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("b,c", "lacks 'a'.*found: 'b', 'c'"),
        ("A,b", "lacks 'a'.*Is it 'A' for 'a'"),
        ("a,B", "lacks 'b'.*Is it 'B' for 'b'"),
        ("a,b,a", "names 'a' more than once"),
        ("x;y", "lacks 'a', 'b'.*'x;y'"),
    ],
)
def test_a_wrong_header_names_what_is_missing_and_what_was_found(header: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(WrongHeader, match=rf"^s3://raw/bad.csv: (?s:.*){message}"):
        run_mapping(build_spec(*TWO), {"good.csv": CONTENT, "bad.csv": f"{header}\n1,2,3\n".encode()}, tmp_path)


def test_a_missing_optional_column_is_null_with_a_note(tmp_path: Path) -> None:
    mapped = run_mapping(build_spec(*TWO), {"full.csv": CONTENT, "half.csv": b"a\n3\n"}, tmp_path)
    assert mapped.values("b") == ["x", "y", None]
    (note,) = mapped.result.notes
    assert note == "optional column 'b' is missing in 1 of 2 files and NULL there, first in s3://raw/half.csv"


def test_files_of_different_columns_and_orders_become_one_table(tmp_path: Path) -> None:
    files = {
        "1.csv": b"a,b\n1,x\nbad,x\n3,z\n",
        "2.csv.gz": gzip.compress(b"b,a,c\nx,1,new\n"),
        "3.csv": b"a,b\n\n7,x\n8\n9,z\n",
        "4.csv": b"a,b\n",
    }
    mapped = run_mapping(build_spec(*TWO), files, tmp_path)
    assert [(row["_source_file"][-5:], row["a"], row["_source_row"]) for row in mapped.good] == [
        ("1.csv", 1, 2),
        ("1.csv", 3, 4),
        ("sv.gz", 1, 2),
        ("3.csv", 7, 3),
        ("3.csv", 9, 5),
    ]
    assert [(row["_source_file"][-5:], row["_source_row"]) for row in mapped.bad] == [("1.csv", 3), ("3.csv", 4)]
    assert [(file.rows_in, file.rows_good, file.rows_bad) for file in mapped.result.files] == [
        (3, 2, 1),
        (1, 1, 0),
        (3, 2, 1),
        (0, 0, 0),
    ]
    assert mapped.values("_rescued_data").count('{"c":"new"}') == 1


def test_many_small_files_become_one_parquet_file_in_their_order(tmp_path: Path) -> None:
    files = {f"{number:04d}.csv": f"a,b\n{number},x\n{number},y\n".encode() for number in range(500)}
    mapped = run_mapping(build_spec(*TWO), files, tmp_path)
    assert len(mapped.result.good_files) == 1
    table = mapped.table
    assert table["a"].to_pylist() == [number for number in range(500) for _ in range(2)]
    assert table["_source_row"].to_pylist() == [2, 3] * 500
    assert table["_source_file"].to_pylist()[-1] == "s3://raw/0499.csv"


def test_too_many_bad_rows_fail_with_reasons_and_an_example(tmp_path: Path) -> None:
    content = b"a,b\n1,x\nbad,y\n3,z\n4\n"
    with pytest.raises(TooManyBadRows) as caught:
        run_mapping(build_spec(*TWO, fail_above="49%"), content, tmp_path)
    message = str(caught.value)
    assert "2 of 4 rows (50.00%) are bad" in message
    assert "a 'bad' is not a valid int (1x, first s3://raw/file.csv row 3)" in message
    assert "record has too few fields (1x, first s3://raw/file.csv row 5)" in message
    assert str(pickle.loads(pickle.dumps(caught.value))) == message


def test_a_share_of_bad_rows_at_the_limit_passes(tmp_path: Path) -> None:
    spec = build_spec(*TWO, fail_above=0.5)
    mapped = run_mapping(spec, b"a,b\n1,x\nbad,y\n", tmp_path)
    assert mapped.result.bad_share == 0.5
    require_few_bad_rows(mapped.result, spec.bad_rows)


def test_the_caller_can_keep_the_quarantine_of_a_failed_partition(tmp_path: Path) -> None:
    spec = build_spec(*TWO, fail_above=0)
    mapped = run_mapping(spec, b"a,b\nbad,y\nbad,y\nworse,\n", tmp_path, fail_on_bad_rows=False)
    assert (mapped.result.rows_good, mapped.result.rows_bad) == (0, 3)
    assert mapped.table.num_rows == 0
    with pytest.raises(TooManyBadRows):
        require_few_bad_rows(mapped.result, spec.bad_rows)


def test_nothing_but_results_stays_on_disk(tmp_path: Path) -> None:
    mapped = run_mapping(build_spec(*TWO), {"1.csv.gz": gzip.compress(CONTENT), "2.csv": b"a,b\nx,y\n"}, tmp_path)
    kept = {path for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert kept == {*mapped.result.good_files, *mapped.result.quarantine_files}


def test_little_memory_is_enough_for_a_file_that_is_larger(tmp_path: Path) -> None:
    line = f"{'9' * 9},{'abcdefghij' * 10}\n".encode()
    mapped = run_mapping(build_spec(*TWO), b"a,b\n" + line * 500_000, tmp_path, memory_limit="60MB")
    assert mapped.result.rows_good == 500_000
