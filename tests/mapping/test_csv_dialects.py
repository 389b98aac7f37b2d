"""CSV without a plain header line, or that DuckDB's own parser cannot take: the same rows, numbers and reasons."""

import bz2
import csv
import gzip
import io
import lzma
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datalake_assets.errors import EmptyObject, UnreadableObject, WrongHeader
from tests.mapping.builders import Mapped, build_spec, run_mapping

TWO = ("a:int!", "b:varchar")


def _column(name: str, to: str, type: str = "varchar") -> dict[str, Any]:
    return {"from": name, "to": to, "type": type}


def _zip(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.csv", content)
    return buffer.getvalue()


def _map(content: bytes, folder: Path, *columns: str | dict[str, Any], name: str = "x.csv", **source: Any) -> Mapped:
    return run_mapping(build_spec(*(columns or TWO), **source), {name: content}, folder)


@pytest.mark.parametrize(
    "compress",
    [("x.csv.bz2", bz2.compress), ("x.csv.xz", lzma.compress), ("x.csv.gz", gzip.compress)],
    ids=["bzip2", "xz", "gzip"],
)
def test_every_compression_is_read(compress: tuple[str, Any], tmp_path: Path) -> None:
    name, function = compress
    mapped = _map(function(b"a,b\n1,x\n2,y\n"), tmp_path, name=name)
    assert mapped.values("a") == [1, 2]
    with pytest.raises(UnreadableObject, match=f"s3://raw/{name}: .*(truncated|ends in the middle)"):
        _map(function(b"a,b\n" + b"".join(b"%d,y\n" % n for n in range(9999)))[:-9], tmp_path, name=name)


def test_members_of_a_zip_archive_share_a_header(tmp_path: Path) -> None:
    mapped = _map(_zip(one=b"a,b\n1,x\n", two=b"a,b\n2,y\n"), tmp_path, name="x.zip")
    assert mapped.values("a") == [1, 2]


def test_lines_before_the_header_are_skipped_and_counted(tmp_path: Path) -> None:
    mapped = _map(b'report of "today\n\n;;;\na,b\n1,x\n\nbad\n2,y\n', tmp_path, skip_rows=3)
    assert mapped.values("a") == [1, 2]
    assert mapped.good_rows == [5, 8]
    assert mapped.bad_rows == [7]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("delimiter", [",", "||"])
def test_a_file_without_a_header_gets_the_names_that_are_declared(delimiter: str, end: str, tmp_path: Path) -> None:
    lines = ["1,x", "", "2,y", "3", "4,z,9", '5,"p,q"', ""]
    content = end.join(lines).replace(",", delimiter).encode()
    mapped = _map(content, tmp_path, header=0, names=["a", "b"], delimiter=delimiter)
    assert mapped.values("a") == [1, 2, 5]
    assert mapped.good_rows == [1, 3, 6]
    assert [(row["_source_row"], row["_reason"]) for row in mapped.bad] == [
        (4, "record has too few fields"),
        (5, "record has too many fields"),
    ]


@pytest.mark.parametrize("delimiter", [",", "||"])
def test_names_are_generated_where_there_are_none(delimiter: str, tmp_path: Path) -> None:
    content = "1,x\n2,y\n".replace(",", delimiter).encode()
    columns = (_column("column_1", "a", "int"), _column("column_2", "b"))
    mapped = _map(content, tmp_path, *columns, header=0, delimiter=delimiter)
    assert (mapped.values("a"), mapped.values("b")) == ([1, 2], ["x", "y"])


def test_a_first_row_that_is_short_does_not_decide_how_many_columns_there_are(tmp_path: Path) -> None:
    mapped = _map(b"1\n2,y\n3,z\n", tmp_path, _column("column_1", "a", "int"), _column("column_2", "b"), header=0)
    assert mapped.values("a") == [2, 3]
    assert mapped.bad_rows == [1]


def test_several_header_rows_belong_together(tmp_path: Path) -> None:
    columns = (_column("price eur", "eur"), _column("price usd", "usd"))
    mapped = _map(b"price,price\neur,usd\n1,2\n3,4\n", tmp_path, *columns, header=2)
    assert mapped.values("usd") == ["2", "4"]
    assert mapped.good_rows == [3, 4]


def test_a_footer_is_no_data(tmp_path: Path) -> None:
    mapped = _map(b"a,b\n1,x\n2,y\ntotal,2\nend\n", tmp_path, skip_footer=2)
    assert mapped.values("a") == [1, 2]
    assert mapped.result.rows_bad == 0


def test_short_rows_are_padded_and_long_ones_rescued(tmp_path: Path) -> None:
    mapped = _map(b"a,b\n1\n2,y,z,\nx,y,w\n3,\n", tmp_path, short_rows="pad", long_rows="rescue")
    assert mapped.values("b") == [None, "y", None]
    assert mapped.values("_rescued_data") == [None, '{"column 3":"z"}', None]
    assert mapped.bad[0]["_raw"] == '{"a":"x","b":"y","column 3":"w"}'


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "utf-8-sig"])
@pytest.mark.parametrize("delimiter", [";", ";;"])
def test_encodings_are_those_of_the_declaration(encoding: str, delimiter: str, tmp_path: Path) -> None:
    content = "a;b\n1;é\n2;\n".replace(";", delimiter).encode(encoding)
    assert _map(content, tmp_path, encoding=encoding, delimiter=delimiter).values("b") == ["é", None]


def test_null_values_hold_for_every_dialect(tmp_path: Path) -> None:
    mapped = _map(b"a||b\n1||NA\n2||\n3||x\n", tmp_path, delimiter="||", null_values=["NA"])
    assert mapped.values("b") == [None, "", "x"]


def test_files_of_different_columns_become_one_table(tmp_path: Path) -> None:
    files = {"1.csv": b"a||b\n1||x\n", "2.csv": b"b||c||a\ny||new||2\n", "3.csv": b"a\n3\n"}
    mapped = run_mapping(build_spec(*TWO, delimiter="||"), files, tmp_path)
    assert mapped.values("a") == [1, 2, 3]
    assert mapped.values("_rescued_data") == [None, '{"c":"new"}', None]
    assert mapped.result.notes == [
        "optional column 'b' is missing in 1 of 3 files and NULL there, first in s3://raw/3.csv"
    ]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", EmptyObject, "zero bytes"),
        (b"\n\n", EmptyObject, "blank"),
        (b"x||y\n1||2\n", WrongHeader, "lacks 'a'"),
        (b"PAR1\0\0\0\0", UnreadableObject, "a Parquet file"),
        (bytes(range(256)) * 20, UnreadableObject, "binary data"),
    ],
    ids=["empty", "blank", "other header", "Parquet", "binary"],
)
def test_what_is_no_such_csv_fails_the_file_by_name(
    content: bytes, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=f"^s3://raw/bad.csv: .*{message}"):
        run_mapping(build_spec(*TWO, delimiter="||"), {"good.csv": b"a||b\n1||x\n", "bad.csv": content}, tmp_path)


def test_lines_to_skip_that_are_all_there_is_are_no_data(tmp_path: Path) -> None:
    with pytest.raises(EmptyObject, match=r"the 5 lines of source\.skip_rows"):
        _map(b"a,b\n1,x\n", tmp_path, skip_rows=5)


_TEXTS = st.text(st.sampled_from('ab1 ,"\n\u00e9'), max_size=4)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.sampled_from(["1", "22", "x", ""]), _TEXTS), min_size=1, max_size=6),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_the_parser_of_duckdb_and_the_other_one_agree(
    rows: list[tuple[str, str]], end: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator=end).writerows([("a", "b"), *rows])
    content = buffer.getvalue().encode()
    plain = _map(content, tmp_path_factory.mktemp("plain"), short_rows="reject")
    other = _map(content, tmp_path_factory.mktemp("other"), short_rows="pad")
    assert other.good == plain.good
    assert other.bad == plain.bad
