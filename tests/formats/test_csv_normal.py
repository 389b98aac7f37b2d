"""Any messy file becomes one header line and rows as wide as it."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from datalake_assets.formats.delimited.csv_normal import Normalised, write_normalised
from datalake_assets.formats.source_format import SourceFormat

HEADER = ["day", "time", "count", "code", "label", "link"]
ROWS = [
    [f"{n + 1:02d}/03/2024", f"{n:02d}:15", str(n * 7), f"AB-{1000 + n}", f"item {n}, large", f"https://x.example/{n}"]
    for n in range(12)
]


def written(tmp_path: Path, text: str | bytes, **words: Any) -> tuple[list[list[str]], Normalised]:
    path = tmp_path / "copy"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    out = io.StringIO(newline="")
    told = write_normalised(path, SourceFormat(**words), out, uri="s3://raw/a.csv")
    assert "\r\n" not in out.getvalue()
    return list(csv.reader(io.StringIO(out.getvalue(), newline=""))), told


def table(broken: int, line: str) -> str:
    """The rows as CSV, one of them replaced."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for number, row in enumerate(ROWS):
        if number == broken:
            out.write(line + "\n")
        else:
            writer.writerow(row)
    return out.getvalue()


def test_the_data_is_written_in_its_original_spelling(tmp_path: Path) -> None:
    text = 'note;x\n"a, b";007\n\'c\'; 1\n"line\nbreak";\n'
    rows, told = written(tmp_path, text, delimiter=";")
    assert rows == [["note", "x"], ["a, b", "007"], ["'c'", " 1"], ["line\nbreak", ""]]
    assert told == Normalised(("note", "x"), rows=3)


@pytest.mark.parametrize(
    "line",
    [
        '05/03/2024,04:1528,AB-1004,"item 4, large",https://x.example/4',
        '05/03/202404:15,28,AB-1004,"item 4, large",https://x.example/4',
        '05/03/2024,04:15,28AB-1004,"item 4, large",https://x.example/4',
        '05/03/2024,04:15,28,AB-1004"item 4, large",https://x.example/4',
        '05/03/2024,04:15,28,AB-1004,"item 4, large"https://x.example/4',
        ',05/03/2024,04:15,28,AB-1004,"item 4, large",https://x.example/4',
        '05/03/2024,04:15,28,,AB-1004,"item 4, large",https://x.example/4',
        '05/03/2024,04:15,28,AB-1004,"item 4, large",,https://x.example/4',
        "05/03/2024,04:15,28,AB-1004,item 4, large,https://x.example/4",
        '05/03/2024 04:15 28 AB-1004 "item 4, large" https://x.example/4',
        '05/03/2024;04:15;28;AB-1004;"item 4, large";https://x.example/4',
    ],
)
def test_a_delimiter_too_many_or_too_few_moves_no_value_into_another_column(tmp_path: Path, line: str) -> None:
    rows, told = written(tmp_path, table(4, line))
    assert rows == [HEADER, *ROWS]
    assert told.arranged == 1


def test_where_it_is_not_certain_short_rows_are_padded_and_long_ones_keep_all(tmp_path: Path) -> None:
    text = "a,b,c\n" + "x,y,z\nq,r,s\n" * 6 + "k,l\nm,n,o,p\nt,u,v\n"
    rows, told = written(tmp_path, text)
    assert rows[13:] == [["k", "l", ""], ["m", "n", "o", "p"], ["t", "u", "v"]]
    assert (told.arranged, told.padded, told.long, told.rows) == (0, 1, 1, 15)


def test_preamble_blank_lines_and_further_tables_are_left_out(tmp_path: Path) -> None:
    text = "made by x\n\n" + table(-1, "") + "\nother,table\n1,2\n3,4\n"
    rows, _ = written(tmp_path, text, skip_rows=2, tables="first")
    assert rows == [HEADER, *ROWS]


@pytest.mark.parametrize(
    "footer", ["Total,,294,,,\n", "12 rows\n", "\n# made on Monday\n", ",,,,,\n,,,,,\n", "Source: the office\n,,,,,\n"]
)
def test_a_footer_is_found_at_the_end_of_a_file_of_any_length(tmp_path: Path, footer: str) -> None:
    body = table(-1, "")
    more = "".join(line + "\n" for line in body.splitlines()[1:] * 400)
    rows, told = written(tmp_path, body + more + footer)
    assert rows == [HEADER, *ROWS * 401]
    assert told.footer > 0


def test_a_last_row_of_data_is_no_footer(tmp_path: Path) -> None:
    text = "name,n,m\n" + "".join(f"name {n},{n},{n}\n" for n in range(9)) + "Total Ltd,5,6\nSum,,\nx,,3\n"
    assert len(written(tmp_path, text)[0]) == 13


def test_an_empty_value_of_a_single_column_stays_a_row(tmp_path: Path) -> None:
    rows, _ = written(tmp_path, 'name\na\n""\nb\n')
    assert rows == [["name"], ["a"], [""], ["b"]]


def test_undecodable_bytes_are_replaced(tmp_path: Path) -> None:
    assert written(tmp_path, b"a,b\n1,x\xff\n")[0] == [["a", "b"], ["1", "x�"]]
