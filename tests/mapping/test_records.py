"""Which records a file holds, on which line each begins, and that none is lost."""

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datalake_assets.errors import UnreadableObject
from tests.mapping.builders import build_spec, run_mapping

THREE = ("a:varchar", "b:varchar", "c:varchar")


def test_rows_after_rejected_records_keep_their_line(tmp_path: Path) -> None:
    content = b"a,b,c\n1,2,3\n4,5\n7,8,9\n1,2,3,4\n7,8,9\n"
    mapped = run_mapping(build_spec(*THREE), content, tmp_path)
    assert mapped.good_rows == [2, 4, 6]
    assert mapped.bad_rows == [3, 5]
    assert [row["_reason"] for row in mapped.bad] == ["record has too few fields", "record has too many fields"]
    assert [row["_raw"] for row in mapped.bad] == ["4,5", "1,2,3,4"]
    assert [row["_column"] for row in mapped.bad] == [None, None]


def test_a_record_with_quoted_line_breaks_counts_all_its_lines(tmp_path: Path) -> None:
    content = b'a,"b\nb",c\n1,"x\ny",3\n4,5\n"p\n\nq",8,9\n"u\nv",2,3,4\n7,8,9\n'
    spec = build_spec("a:varchar", {"from": "b\nb", "to": "b", "type": "varchar"}, "c:varchar")
    mapped = run_mapping(spec, content, tmp_path)
    assert mapped.good_rows == [3, 6, 11]
    assert mapped.bad_rows == [5, 9]
    assert mapped.values("a") == ["1", "p\n\nq", "7"]
    assert mapped.bad[1]["_raw"] == '"u\nv",2,3,4'


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_blank_lines_are_no_records_but_count_as_lines(end: bytes, tmp_path: Path) -> None:
    content = end.join([b"", b"a,b,c", b"", b"1,2,3", b"", b"", b"4,5", b"7,8,9", b"", b'"x', b"", b'y",2,3', b"", b""])
    mapped = run_mapping(build_spec(*THREE), content, tmp_path)
    assert mapped.good_rows == [4, 8, 10]
    assert mapped.bad_rows == [7]
    assert mapped.values("a") == ["1", "7", (b"x" + end * 2 + b"y").decode()]


def test_mixed_line_ends_separate_records_alike(tmp_path: Path) -> None:
    mapped = run_mapping(build_spec(*THREE), b"a,b,c\r\n1,2,3\n4,5\r\n\n7,x\ry,9\n1,2,3\r\n", tmp_path)
    assert mapped.good_rows == [2, 5, 6]
    assert mapped.bad_rows == [3]
    assert mapped.values("b") == ["2", "x\ry", "2"]


def test_line_breaks_of_another_kind_within_quotes_stay_as_they_are(tmp_path: Path) -> None:
    files = {
        "crlf.csv": b'a,b,c\r\n1,"x\ny",3\r\n4,5,6\r\n',
        "lf.csv": b'a,b,c\n1,"x\r\ny",3\n4,5,6\n',
    }
    mapped = run_mapping(build_spec(*THREE), files, tmp_path)
    assert mapped.values("b") == ["x\ny", "5", "x\r\ny", "5"]
    assert mapped.good_rows == [2, 4, 2, 4]


def test_files_with_different_line_ends_do_not_disturb_each_other(tmp_path: Path) -> None:
    files = {"cr.csv": b'a,b,c\r1,"x\ry",3\r4\r', "lf.csv": b'a,b,c\n1,x\ry,"p\nq"\n4\n'}
    mapped = run_mapping(build_spec(*THREE), files, tmp_path)
    assert mapped.values("b") == ["x\ry", "x\ry"]
    assert mapped.bad_rows == [4, 4]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"\xef\xbb\xbfa,b,c\n1,2,3\n", 1),
        (b"a,b,c\n1,2,3", 1),
        (b"a,b,c\n1,2,3\n\n\n", 1),
        (b"a,b,c", 0),
        (b"a,b,c\r\n", 0),
        (b'"a","b","c"\n1,"2",3\n', 1),
        (b" a , b,c \n1,2,3\n", 1),
        ("a,b,c\nä,€,😀\n".encode(), 1),
    ],
    ids=["BOM", "no last line end", "blank end", "header only", "header CRLF", "quoted", "spaced header", "unicode"],
)
def test_ordinary_variants_are_read(content: bytes, rows: int, tmp_path: Path) -> None:
    mapped = run_mapping(build_spec(*THREE), content, tmp_path)
    assert (mapped.result.rows_good, mapped.result.rows_bad) == (rows, 0)
    assert mapped.table.num_rows == rows
    assert mapped.good_rows == [2] * rows


def test_a_file_of_one_column_tells_a_blank_line_from_an_empty_value(tmp_path: Path) -> None:
    mapped = run_mapping(build_spec("a:int"), b'a\n1\n\n""\n2\n1,2\n3\n\n\n', tmp_path)
    assert mapped.values("a") == [1, None, 2, 3]
    assert mapped.good_rows == [2, 4, 5, 7]
    assert mapped.bad_rows == [6]


def test_an_invalid_byte_costs_one_row(tmp_path: Path) -> None:
    mapped = run_mapping(build_spec(*THREE), b"a,b,c\n1,2,3\n4,\xe9,6\n7,8,9\n", tmp_path)
    assert mapped.good_rows == [2, 4]
    assert mapped.bad[0]["_reason"] == "record is not valid in the encoding of the file"


def test_a_nul_byte_costs_one_row(tmp_path: Path) -> None:
    mapped = run_mapping(build_spec(*THREE), b"a,b,c\n1,2,3\n4,x\x00y,6\n", tmp_path)
    assert mapped.good_rows == [2]
    assert mapped.bad[0]["_reason"] == r"b 'x\0y' holds a NUL byte"


def test_a_quote_within_a_value_costs_one_row(tmp_path: Path) -> None:
    mapped = run_mapping(build_spec(*THREE), b'a,b,c\n1,2,3\n4,"5"x,6\n7,8"y,9\n', tmp_path)
    assert mapped.good_rows == [2, 4]
    assert mapped.values("b") == ["2", '8"y']
    assert mapped.bad[0]["_raw"] == '4,"5"x,6'


def test_a_quote_that_is_never_closed_fails_the_file_instead_of_swallowing_it(tmp_path: Path) -> None:
    with pytest.raises(UnreadableObject, match=r"s3://raw/file.csv: .*a quote is not closed near record 3"):
        run_mapping(build_spec(*THREE), b'a,b,c\n1,2,3\n4,"5,6\n7,8,9\n1,2,3\n', tmp_path)


def test_a_quote_that_is_never_closed_in_a_large_file_is_noticed(tmp_path: Path) -> None:
    lines = [f"{number},{'x' * 100},z" for number in range(200_000)]
    lines[500] = '500,"open,z'
    with pytest.raises(UnreadableObject, match="lines cannot be told apart"):
        run_mapping(build_spec(*THREE), ("a,b,c\n" + "\n".join(lines)).encode(), tmp_path)


def test_a_value_of_a_megabyte_is_put_aside_whole(tmp_path: Path) -> None:
    content = b"a,b,c\n1," + b"x" * 1_000_000 + b",3\n4,5,6\n"
    mapped = run_mapping(build_spec(*THREE), content, tmp_path)
    assert mapped.good_rows == [3]
    assert mapped.bad_rows == [2]
    assert len(mapped.bad[0]["_raw"]) > 1_000_000
    assert mapped.bad[0]["_column"] == "b"


def test_a_record_beyond_the_limit_is_put_aside(tmp_path: Path) -> None:
    mapped = run_mapping(build_spec(*THREE), b"a,b,c\n1," + b"x" * 9_000_000 + b",3\n4,5,6\n", tmp_path)
    assert mapped.good_rows == [3]
    assert "is longer than" in mapped.bad[0]["_reason"]


def test_other_dialects_are_read_as_declared(tmp_path: Path) -> None:
    spec = build_spec("a:varchar", "b:varchar", delimiter=";", quote="'", escape="\\")
    assert run_mapping(spec, b"a;b\n'x;\\'y';2\n", tmp_path).values("a") == ["x;'y"]
    spec = build_spec("a:varchar", "b:varchar", delimiter="\t", quote="")
    assert run_mapping(spec, b'a\tb\n"x\t2\n', tmp_path).values("a") == ['"x']


def test_large_files_keep_the_order_of_their_rows(tmp_path: Path) -> None:
    # Files above the parser's unit of work are read by several threads at once.
    spec = build_spec(
        "id:bigint", "flag:boolean", "text:varchar", "at:timestamp", null_values=["", "NA", "-", "null", "NULL", "?"]
    )
    lines = [f"{number},{'yes' if number % 2 else 'no'},{'x' * 80},2024-01-01 00:00:00" for number in range(200_000)]
    for number in range(0, 200_000, 1000):
        lines[number] = f"{number},broken"
    for number in range(500, 200_000, 1000):
        lines[number] = f'{number},y,"two\nlines",NA'
    mapped = run_mapping(spec, ("id,flag,text,at\n" + "\n".join(lines)).encode(), tmp_path)
    table = mapped.table
    breaks = [(number + 499) // 1000 for number in table["id"].to_pylist()]
    expected = [number + 2 + before for number, before in zip(table["id"].to_pylist(), breaks, strict=True)]
    assert table["_source_row"].to_pylist() == expected
    assert mapped.bad_rows == [number + 2 + number // 1000 for number in range(0, 200_000, 1000)]


FIELD = st.text(alphabet='ab1 ,;"\n\rä', max_size=6)
LINE = st.one_of(
    st.lists(FIELD, min_size=3, max_size=3),
    st.lists(FIELD, min_size=2, max_size=4),
    st.just([]),
)


def _written(records: list[list[str]], end: str) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end)
    writer.writerow(["a", "b", "c"])
    for record in records:
        if record:
            writer.writerow(record)
        else:
            text.write(end)
    return text.getvalue().encode()


def _line_numbers(records: list[list[str]], end: str) -> list[int]:
    """The line of each record that is not blank."""
    lines, line = [], 2
    for record in records:
        if record:
            lines.append(line)
        line += _written([record], end)[len(_written([], end)) :].count(end[-1].encode())
    return lines


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records=st.lists(LINE, max_size=12), end=st.sampled_from(["\n", "\r\n"]), repeat=st.sampled_from([1, 1, 1, 300]))
def test_every_record_is_either_good_or_in_quarantine_at_its_line(
    records: list[list[str]], end: str, repeat: int
) -> None:
    records = records * repeat
    spec = build_spec("a:varchar!", "b:int", "c:varchar", null_values=["", "NA"])
    with tempfile.TemporaryDirectory() as folder:
        mapped = run_mapping(spec, _written(records, end), Path(folder))
        result = mapped.result
        assert result.rows_in == result.rows_good + result.rows_bad
        assert (len(mapped.good), len(mapped.bad)) == (result.rows_good, result.rows_bad)
        assert sorted(mapped.good_rows + mapped.bad_rows) == _line_numbers(records, end)
