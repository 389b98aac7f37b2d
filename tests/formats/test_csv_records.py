"""Delimited files as records: every dialect, broken records apart, bounded memory."""

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from datalake_assets.errors import EmptyObject, UnreadableObject
from datalake_assets.formats.delimited.csv_rows import STRAY_QUOTE
from datalake_assets.formats.records import BATCH_ROWS, FLAT_COLUMNS, open_records
from datalake_assets.formats.source_format import SourceFormat


def read(tmp_path: Path, content: str | bytes, *, name: str = "a.csv", **words: Any) -> dict[str, Any]:
    path = tmp_path / "copy"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    file = open_records(path, SourceFormat(**words), uri=f"s3://raw/{name}")
    batches = list(file.batches())
    assert file.names is not None
    columns = [f"c{index}" for index in range(len(file.names))]
    assert all(batch.schema.names == [*FLAT_COLUMNS, *columns] for batch in batches)
    rows = [row for batch in batches for row in batch.to_pylist()]
    return {
        "names": file.names,
        "cells": [[row[column] for column in columns] for row in rows],
        "lines": [row["row"] for row in rows],
        "reasons": [row["reason"] for row in rows],
        "raws": [row["raw"] for row in rows],
        "extras": [row["extra"] for row in rows],
    }


def good(found: dict[str, Any]) -> list[list[str]]:
    assert found["reasons"] == [None] * len(found["reasons"])
    assert found["raws"] == [None] * len(found["raws"])
    cells: list[list[str]] = found["cells"]
    return cells


def test_a_plain_file_is_read_with_its_physical_line_numbers(tmp_path: Path) -> None:
    found = read(tmp_path, 'id,note\n1,a\n\n2,"b\nc"\n3,""\n')
    assert found["names"] == ("id", "note")
    assert good(found) == [["1", "a"], ["2", "b\nc"], ["3", ""]]
    assert found["lines"] == [2, 4, 6]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_is_read(tmp_path: Path, end: str) -> None:
    found = read(tmp_path, end.join(["id,note", "1,a", '2,"b, c"', "3,d", ""]))
    assert good(found) == [["1", "a"], ["2", "b, c"], ["3", "d"]]
    assert found["lines"] == [2, 3, 4]


@pytest.mark.parametrize("header", ["id,note\r\n", "id,note\n", "id,note\r"])
def test_mixed_line_ends_end_records_and_stay_within_quotes(tmp_path: Path, header: str) -> None:
    found = read(tmp_path, f'{header}1,a\n2,"b\r\nc"\r\n3,d\r4,e\r5,f\n6,"g\rh"\n')
    assert good(found) == [["1", "a"], ["2", "b\r\nc"], ["3", "d"], ["4", "e"], ["5", "f"], ["6", "g\rh"]]


@pytest.mark.parametrize("delimiter", [";", "\t", "|", " ", ", ", "||", "|~|", "\x1f"])
@pytest.mark.parametrize("quote", ['"', "'"])
def test_every_delimiter_and_quote_is_read(tmp_path: Path, delimiter: str, quote: str) -> None:
    d, q = delimiter, quote
    text = f"id{d}note\n1{d}{q}a{d}b{q}\n2{d}{q}it{q}{q}s{q}\n3{d}Men{q}s\n4{d}\n"
    found = read(tmp_path, text, delimiter=delimiter, quote=quote)
    assert good(found) == [["1", f"a{d}b"], ["2", f"it{q}s"], ["3", f"Men{q}s"], ["4", ""]]


def test_a_backslash_escapes_quotes_and_itself_only(tmp_path: Path) -> None:
    text = 'id,note\n1,"a \\"b\\", c"\n2,"C:\\\\"\n3,"\\n and \\d"\n4,x\\,y\n5,"doubled "" too"\n'
    found = read(tmp_path, text, escape="\\")
    assert good(found) == [
        ["1", 'a "b", c'], ["2", "C:\\"], ["3", "\\n and \\d"], ["4", "x,y"], ["5", 'doubled " too'],
    ]  # fmt: skip


def test_without_a_quote_every_character_is_plain(tmp_path: Path) -> None:
    assert good(read(tmp_path, 'id,size\n1,5"\n2,"6\n3,"7"\n', quote="")) == [["1", '5"'], ["2", '"6'], ["3", '"7"']]


def test_spaces_around_quotes_are_no_part_of_the_value(tmp_path: Path) -> None:
    assert good(read(tmp_path, 'a,b,c\n1, "x, y" ,2\n')) == [["1", "x, y", "2"]]


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ('2,"5,abc,"x, y",z', ["2", '"5', "abc", "x, y", "z"]),
        ('2,5,""abc","x, y",z', ["2", "5", '"abc', "x, y", "z"]),
        ('2,5,"abc 10"","x, y",z', ["2", "5", 'abc 10"', "x, y", "z"]),
        ('2,5,"a "b" c","x, y",z', ["2", "5", 'a "b" c', "x, y", "z"]),
        ('2,5,abc,"x, y","', ["2", "5", "abc", "x, y", '"']),
        ('"2,5,abc,"x, y",z', ['"2', "5", "abc", "x, y", "z"]),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_extra_quote_damages_neither_its_neighbours_nor_the_next_rows(
    tmp_path: Path, line: str, cells: list[str], end: str
) -> None:
    rows = ["id,n,text,note,last", '1,4,abc,"p, q",z', line, '3,6,def,"r ""s"", t",z', '4,7,ghi,"u, v",z']
    found = read(tmp_path, end.join(rows) + end)
    assert good(found) == [
        ["1", "4", "abc", "p, q", "z"], cells, ["3", "6", "def", 'r "s", t', "z"], ["4", "7", "ghi", "u, v", "z"],
    ]  # fmt: skip
    assert found["lines"] == [2, 3, 4, 5]


def test_a_stray_quote_within_a_value_of_several_lines_is_kept(tmp_path: Path) -> None:
    found = read(tmp_path, 'id,note,n\n1,a,1\n2,"say "hi"\nand go",2\n3,b,3\n4,c,4\n')
    assert good(found) == [["1", "a", "1"], ["2", 'say "hi"\nand go', "2"], ["3", "b", "3"], ["4", "c", "4"]]
    assert found["lines"] == [2, 3, 5, 6]


def test_rows_that_cannot_be_mended_are_set_aside_alone(tmp_path: Path) -> None:
    found = read(tmp_path, 'a,b,c\n1,2,3\n4,"x"y\n7,8\n9,10,11,12\n5,6,7\n')
    assert found["reasons"] == [None, STRAY_QUOTE, "has too few fields", "has too many fields", None]
    assert found["raws"] == [None, '4,"x"y', "7,8", "9,10,11,12", None]
    assert found["lines"] == [2, 3, 4, 5, 6]
    assert found["cells"][0] == ["1", "2", "3"]
    assert found["cells"][4] == ["5", "6", "7"]


def test_short_rows_are_padded_and_long_ones_rescued_if_asked_for(tmp_path: Path) -> None:
    found = read(tmp_path, "a,b,c\n1,2,3\n7,8\n9,10,11,12,\n5,6,7\n", short_rows="pad", long_rows="rescue")
    assert good(found) == [["1", "2", "3"], ["7", "8", None], ["9", "10", "11"], ["5", "6", "7"]]
    assert found["extras"] == [None, None, '["12", ""]', None]
    assert json.loads(found["extras"][2]) == ["12", ""]


@pytest.mark.parametrize("header", ["a,b\n", "a,b,\n"])
def test_a_delimiter_at_the_end_of_rows_begins_no_column(tmp_path: Path, header: str) -> None:
    found = read(tmp_path, header + "1,2,\n" * 9 + "5,6,7\n8,9\n")
    assert found["names"] == ("a", "b")
    assert found["cells"] == [["1", "2"]] * 9 + [["5", "6"], ["8", "9"]]
    assert found["reasons"] == [None] * 9 + ["has too many fields", None]


def test_a_last_column_that_is_named_stays_although_it_is_empty(tmp_path: Path) -> None:
    found = read(tmp_path, "a,b,c\n1,2,\n3,4,\n")
    assert found["names"] == ("a", "b", "c")
    assert good(found) == [["1", "2", ""], ["3", "4", ""]]


def test_header_rows_are_joined_and_preamble_and_footer_left_out(tmp_path: Path) -> None:
    text = 'Report\n"of\n2024",x\n,size,\nid,cm,"the\nnote"\n1,2,a\n\nTotal\nend\n\n'
    found = read(tmp_path, text, skip_rows=3, header=2, skip_footer=2)
    assert found["names"] == ("id", "size cm", "the\nnote")
    assert good(found) == [["1", "2", "a"]]
    assert found["lines"] == [7]


def test_a_name_above_several_columns_is_the_name_of_each(tmp_path: Path) -> None:
    text = "Region,Sales,,Costs,,Note\n,2025,2026,2025,2026,\nR1,1,2,3,4,x\n"
    names = ("Region", "Sales 2025", "Sales 2026", "Costs 2025", "Costs 2026", "Note")
    assert read(tmp_path, text, header=2)["names"] == names


def test_names_are_generated_or_given_without_a_header(tmp_path: Path) -> None:
    assert read(tmp_path, "1,2\n3,4\n", header=0)["names"] == ("column_1", "column_2")
    found = read(tmp_path, "1,2\n3,4\n", header=0, names=("x", "y"))
    assert found["names"] == ("x", "y")
    assert good(found) == [["1", "2"], ["3", "4"]]


@pytest.mark.parametrize(
    "second",
    ["id,n,note\n", "\nid,n,note,more\n", "k,v\n", "other,names,here,now\n"],
    ids=["same", "more", "less", "x"],
)
def test_reading_ends_with_the_first_table_if_asked_for(tmp_path: Path, second: str) -> None:
    row = ",".join("9" for _ in second.strip().split(",")) + "\n"
    text = "id,n,note\n" + "".join(f"{n},{n * 2},text {n}\n" for n in range(9)) + second + row * 5
    assert len(read(tmp_path, text)["cells"]) > 9
    found = read(tmp_path, text, tables="first")
    assert good(found) == [[str(n), str(n * 2), f"text {n}"] for n in range(9)]


def test_bytes_that_are_no_text_break_their_record_alone(tmp_path: Path) -> None:
    found = read(tmp_path, b"a,b\n1,good\n2,b\xffd\n3,fine\n")
    assert found["reasons"] == [None, "is not text of the declared encoding", None]
    assert found["raws"][1] == "2,b�d"
    assert found["cells"][2] == ["3", "fine"]


def test_compressed_files_and_other_encodings_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, gzip.compress("näme;ort\r\nJosé;Köln\r\n".encode("utf-16")), name="a.csv.gz",
                 delimiter=";", encoding="utf-16")  # fmt: skip
    assert found["names"] == ("näme", "ort")
    assert good(found) == [["José", "Köln"]]


@pytest.mark.parametrize("content", ["", "\n\r\n\n"])
def test_a_file_without_lines_is_empty(tmp_path: Path, content: str) -> None:
    with pytest.raises(EmptyObject, match=r"s3://raw/a\.csv"):
        read(tmp_path, content)


def test_a_header_alone_has_no_records(tmp_path: Path) -> None:
    found = read(tmp_path, "a,b")
    assert found["names"] == ("a", "b")
    assert found["cells"] == []


def test_a_header_of_too_many_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableObject, match="columns"):
        read(tmp_path, "a," * 30_000)


def test_large_files_come_in_batches_in_their_order(tmp_path: Path) -> None:
    count = 3 * BATCH_ROWS
    text = "id,note\n" + "".join(f'{n},"line\n{n}"\n' if n % 7 == 0 else f"{n},x\n" for n in range(count))
    found = read(tmp_path, text)
    assert [int(row[0]) for row in good(found)] == list(range(count))
    assert found["lines"][-1] == 1 + count + sum(n % 7 == 0 for n in range(count - 1))


def test_a_line_and_a_quote_without_end_need_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "endless"
    with path.open("wb") as file:
        file.write(b'a,b\n1,2\n3,"')
        for _ in range(64):
            file.write(b"x" * 1024 * 1024)
        file.write(b"\n5,6\n")
        for _ in range(200_000):
            file.write(b"7,8\n")
    tracemalloc.start()
    counts = {"rows": 0, "broken": 0}
    for batch in open_records(path, SourceFormat(), uri="s3://raw/endless.csv").batches():
        counts["rows"] += batch.num_rows
        counts["broken"] += batch.num_rows - batch.column("reason").null_count
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counts == {"rows": 200_003, "broken": 1}
    assert peak < 120 * 1024 * 1024


def test_a_quote_that_never_closes_takes_no_other_row(tmp_path: Path) -> None:
    text = 'a,b\n1,2\n3,"x\n' + "".join(f"{n},{n}\n" for n in range(30_000))
    found = read(tmp_path, text)
    assert len(found["cells"]) == 30_002
    assert found["cells"][1] == ["3", '"x']
    assert found["lines"] == list(range(2, 30_004))
