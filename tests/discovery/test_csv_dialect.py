"""The dialect, the header and the end of the table of a delimited text are found."""

import subprocess
import sys

import pytest

from datalake_assets.discovery.classifiers.csv_dialect import CsvFinding, find_csv
from datalake_assets.formats.source_format import SourceFormat

HEADER = "day,time,count,code,label\n"
ROWS = "".join(f"{n + 1:02d}/03/2024,{n:02d}:15,{n * 7},AB-{1000 + n},item {n}\n" for n in range(14))
NAMES = ("day", "time", "count", "code", "label")


def found(text: str, *, is_complete: bool = True) -> CsvFinding:
    finding = find_csv(text, is_complete=is_complete)
    assert finding is not None
    assert 0 < finding.certainty <= 1
    assert finding.details.keys() == {"dialect", "header", "types"}
    assert all(0 <= value <= 1 for value in finding.details.values())
    assert finding.reason
    return finding


def words(finding: CsvFinding) -> dict[str, object]:
    return finding.source.model_dump(exclude_defaults=True)


def test_a_plain_file_needs_no_words_at_all() -> None:
    finding = found(HEADER + ROWS)
    assert finding.source == SourceFormat()
    assert finding.names == NAMES
    assert finding.certainty > 0.9


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " ", ", ", "||", " | ", "~", "\x1f", "|~|"])
def test_every_delimiter_is_found(delimiter: str, end: str) -> None:
    text = (HEADER + ROWS).replace("item ", "item").replace(",", delimiter).replace("\n", end)
    finding = found(text)
    assert finding.source.delimiter == delimiter
    assert finding.names == NAMES


@pytest.mark.parametrize("quote", ['"', "'"])
def test_quotes_are_found_and_delimiters_in_them_do_not_count(quote: str) -> None:
    q = quote
    text = "id;text;n\n" + "".join(f"{n};{q}a; b{q}{q}s, c\nd{q};{n * 2}\n" for n in range(8))
    finding = found(text)
    assert (finding.source.delimiter, finding.source.quote, finding.source.escape) == (";", quote, None)


@pytest.mark.parametrize("escape", ["\\", "^"])
def test_another_escape_is_found(escape: str) -> None:
    text = "id,text,n\n" + "".join(f'{n},"a {escape}"b{escape}", c",{n * 2}\n' for n in range(8))
    assert found(text).source.escape == escape


def test_apostrophes_and_inches_in_texts_are_no_quotes() -> None:
    text = "id,text,n\n" + "".join(f"{n},it's 5\" wide,{n}\n" for n in range(8))
    assert found(text).source == SourceFormat()
    finding = found("id,size,n\n" + "".join(f'{n},"{n} inch,{n}\n' for n in range(8)))
    assert finding.source.quote in ("", '"')
    assert finding.names == ("id", "size", "n")


def test_decimal_commas_are_no_delimiters() -> None:
    assert found("a;b\n" + "".join(f"{n},5;{n},25\n" for n in range(8))).source.delimiter == ";"
    assert found("when;n\n" + "".join(f"2024-01-0{n} 10:00:00;{n}\n" for n in range(1, 9))).source.delimiter == ";"


def test_one_damaged_row_does_not_change_the_finding() -> None:
    rows = ROWS.splitlines(keepends=True)
    for damaged in (",,,\n", '"' + rows[3], rows[3].replace(",", " "), "nothing\n", rows[3][:-1] + ",more\n"):
        finding = found(HEADER + "".join([*rows[:3], damaged, *rows[4:]]))
        assert finding.source == SourceFormat(), damaged
        assert finding.names == NAMES


@pytest.mark.parametrize(
    ("preamble", "lines"),
    [
        ("PREAMBLE,,,,\n,,,,\n", 2),
        ("Report of March\n\n", 2),
        ("Report\nmade by,Jo\non,2024-03-01\n\n", 4),
        ("# a comment\n# another, with commas\n", 2),
        ("site,lat,lon,alt,owner\nA1,50.1,7.2,120,Jo\nA2,51.1,7.3,130,Al\n\n", 4),
        ("site,lat,lon,alt,owner\nA1,50.1,7.2,120,Jo\n", 2),
        ('"a note\nof two lines",,,,\n', 2),
        ("\n\n", 2),
    ],
)
def test_what_stands_before_the_header_is_skipped(preamble: str, lines: int) -> None:
    finding = found(preamble + HEADER + ROWS)
    assert finding.names == NAMES
    assert finding.source.header == 1
    assert finding.source.skip_rows in (lines, 0 if not preamble.strip() else lines)


@pytest.mark.parametrize(
    ("header", "count", "names"),
    [
        (HEADER * 2, 2, tuple(f"{name} {name}" for name in NAMES)),
        (HEADER * 3, 3, tuple(f"{name} {name} {name}" for name in NAMES)),
        (",,amount,,\nday,time,count,code,label\n", 2, ("day", "time", "amount count", "code", "label")),
        ("day,time,count,code,label\n,,pieces,,\n", 2, ("day", "time", "count pieces", "code", "label")),
        ("day,time,count,code,label\nddmmyyyy,hhmm,pieces,text,text\n", 2,
         ("day ddmmyyyy", "time hhmm", "count pieces", "code text", "label text")),
        ('"day\nof sale",time,"the count",code,label\n', 1, ("day\nof sale", "time", "the count", "code", "label")),
        ("day,day,count,,label\n", 1, ("day", "day", "count", "", "label")),
    ],
)  # fmt: skip
def test_header_rows_that_belong_together_are_joined(header: str, count: int, names: tuple[str, ...]) -> None:
    finding = found(header + ROWS)
    assert finding.names == names
    assert finding.source.header == count
    assert finding.source.skip_rows == 0


def test_years_can_be_names() -> None:
    text = "country,2019,2020,2021\n" + "".join(f"land {n},{n * 31},{n * 7},{n * 11}\n" for n in range(9))
    assert found(text).names == ("country", "2019", "2020", "2021")


def test_without_a_header_names_are_generated() -> None:
    finding = found(ROWS)
    assert words(finding) == {"header": 0}
    assert finding.names == tuple(f"column_{number}" for number in range(1, 6))
    assert words(found("a title\n" + ROWS)) == {"header": 0, "skip_rows": 1}


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("day time count code label\n", NAMES),
        ("day,,time,count,code,label\n", NAMES),
        ('day,time,count,"code""label"\n', NAMES),
        ("time,count,code,label\n", ("time", "count", "code", "label", "column_5")),
    ],
)
def test_a_header_that_does_not_fit_its_rows_becomes_names(header: str, names: tuple[str, ...]) -> None:
    finding = found(header + ROWS)
    assert finding.names == finding.source.names == names
    assert (finding.source.header, finding.source.skip_rows) == (0, 1)


def test_a_header_alone_and_a_single_row_of_data_are_told_apart() -> None:
    assert found(HEADER).names == NAMES
    assert found(HEADER + ROWS.splitlines()[0]).source == SourceFormat()
    assert found(ROWS.splitlines()[3]).source.header == 0


@pytest.mark.parametrize("header", [HEADER, HEADER.replace("\n", ",\n")])
def test_delimiters_at_the_end_of_rows_begin_no_column(header: str) -> None:
    finding = found(header + ROWS.replace("\n", ",\n"))
    assert finding.names == NAMES
    assert finding.source == SourceFormat()


@pytest.mark.parametrize(
    ("footer", "lines"),
    [
        ("Total,,637,,\n", 1),
        ("\nTotal,,637,,\n", 1),
        ("14 rows\n\n", 1),
        ("Source: the office\nAll rights reserved\n", 2),
        (",,,,\n,,,,\n", 2),
        (",,,,\n* estimated\n\n", 2),
    ],
)
def test_a_footer_of_a_complete_file_is_skipped(footer: str, lines: int) -> None:
    assert words(found(HEADER + ROWS + footer)) == {"skip_footer": lines}
    assert "skip_footer" not in words(found(HEADER + ROWS + footer + "x", is_complete=False))


@pytest.mark.parametrize(
    "second",
    [
        HEADER + ROWS,
        HEADER.replace(",label", "") + ROWS.replace(",item", "item"),
        HEADER.replace("\n", ",more\n") + ROWS.replace("\n", ",x\n"),
        "\nname,n,text\nx,1,y\nz,2,w\n",
        ",,,,\nname,n,text,m,k\nx,1,y,2,3\nz,2,w,2,3\n",
    ],
    ids=["same", "less", "more", "after a blank line", "after an empty row"],
)
def test_another_table_ends_the_first(second: str) -> None:
    finding = found(HEADER + ROWS + second)
    assert finding.names == NAMES
    assert words(finding) in ({"tables": "first"}, {"skip_footer": second.count("\n")})


def test_short_and_long_rows_are_a_habit_or_a_mistake() -> None:
    short = "".join(f"{n},{n},x\n" if n % 3 else f"{n},{n}\n" for n in range(30))
    assert words(found("a,b,c\n" + short)) == {"short_rows": "pad"}
    long = "".join(f"{n},{n},x\n" if n % 3 else f"{n},{n},x,y\n" for n in range(30))
    assert words(found("a,b,c\n" + long)) == {"long_rows": "rescue"}
    assert words(found("a,b,c\n" + "".join(f"{n},{n},x\n" for n in range(40)) + "1,2\n")) == {}


def test_a_single_column_is_found() -> None:
    finding = found("price\n" + "".join(f"{n},50\n" for n in range(9)))
    assert finding.names in (("price",), ("column_1", "column_2"))
    assert found("id\n" + "".join(f"{n * 7}\n" for n in range(9))).names == ("id",)
    assert found("when\n" + "".join(f"2024-01-01 10:{n}0:00\n" for n in range(6))).names == ("when",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\r\n",
        "\x00\x01\x02binary\n" * 9,
        '{"a": 1, "b": 2}\n' * 9,
        "<a>1, 2</a>\n" * 9,
        "It was a dark night.\nThe rain, as always, fell.\nNobody came, nobody went; and so on.\nThe end\n",
    ],
)
def test_what_is_no_table_is_not_found(text: str) -> None:
    finding = find_csv(text, is_complete=True)
    assert finding is None or finding.certainty < 0.5


def test_the_last_line_of_a_part_of_a_file_does_not_count() -> None:
    assert found(HEADER + ROWS + '01/03/2024,00:15,7,"AB', is_complete=False).source == SourceFormat()


def test_the_encoding_is_handed_on() -> None:
    finding = find_csv(HEADER + ROWS, is_complete=True, encoding="cp1252")
    assert finding is not None
    assert words(finding) == {"encoding": "cp1252"}


@pytest.mark.parametrize(
    "text",
    [
        "a," * 400_000,
        '"' * 300_000,
        '"\n' * 200_000,
        "a,b,c\n" + "".join(f'{n},"text {n},""\n' for n in range(6_000)),
        "id;text;x\n" + "".join(f'{n};"he said "hi" to me";{n}\n' for n in range(6_000)),
        'a,b\n1,"' + "x" * 900_000,
        ",".join(f"c{n}" for n in range(4_000)) + "\n",
    ],
    ids=["one line", "quotes", "lines of quotes", "never closed", "stray", "open", "wide"],
)
def test_hostile_texts_come_to_an_end_and_always_the_same(text: str) -> None:
    assert find_csv(text, is_complete=False) == find_csv(text, is_complete=False)


def test_spaces_within_texts_are_no_delimiter() -> None:
    finding = found("name;Straße\n" + "".join(f"Müller {n};Größe {n} größer\n" for n in range(10)))
    assert (finding.source.delimiter, finding.names) == (";", ("name", "Straße"))
    finding = found("id,t\n" + "".join(f'{n},😀 "q" {n}\n' for n in range(9)))
    assert (finding.source.delimiter, finding.names) == (",", ("id", "t"))


def test_years_below_groups_of_columns_are_names() -> None:
    rows = "".join(f"R{n},{n},{n + 1},{n + 2},{n + 3}\n" for n in range(9))
    finding = found("Region,Sales,Sales,Costs,Costs\n,2025,2026,2025,2026\n" + rows)
    assert finding.names == ("Region", "Sales 2025", "Sales 2026", "Costs 2025", "Costs 2026")


def test_running_numbers_are_names_over_other_numbers_only() -> None:
    rows = "".join(f"s{n},{n / 10},{n / 5},{n / 7:.3f}\n" for n in range(9))
    assert found("sample,1,2,3\n" + rows).names == ("sample", "1", "2", "3")
    counting = "".join(f"s{n},{n},{n + 1},{n + 2}\n" for n in range(9))
    assert found(counting).source.header == 0


def test_a_line_drawn_below_the_header_names_nothing() -> None:
    rows = "".join(f"{n}|{n * 2}\n" for n in range(5))
    assert found("a|b\n---|---\n" + rows).names == ("a", "b")


def test_a_row_that_heads_a_group_does_not_hide_the_header() -> None:
    rows = "".join(f"  clinic {n};{n * 31};{n * 29}\n" for n in range(9))
    finding = found("Report\n;1985;1993\nSurgery;;\n" + rows)
    assert finding.names == ("", "1985", "1993")
    assert finding.source.skip_rows == 1


def test_a_damaged_row_is_not_taken_for_a_header() -> None:
    rows = [f'{n},"a, b","c {n}, d"\n' for n in range(12)]
    rows[4] = '4,"a, b""c 4, d"\n'
    finding = found("id,left,right\n" + "".join(rows))
    assert finding.names == ("id", "left", "right")
    assert finding.source.skip_rows == 0


def test_rows_of_nothing_but_texts_may_end_with_a_delimiter() -> None:
    rows = "".join(f"{['red', 'blue'][n % 2]},{['round', 'square'][n % 2]},\n" for n in range(9))
    finding = found("colour,shape\n" + rows)
    assert finding.names == ("colour", "shape")
    assert finding.source.tables == "all"


def test_escape_codes_of_terminals_are_part_of_a_value() -> None:
    assert found("id,t\n" + "".join(f"{n},\x1b[31mred\x1b[0m\n" for n in range(9))).names == ("id", "t")


def test_statements_that_all_end_alike_are_no_table() -> None:
    assert find_csv("CREATE TABLE x (a int);\nINSERT INTO x VALUES (1);\n", is_complete=True) is None


def test_importing_needs_neither_arrow_nor_a_data_frame() -> None:
    code = "import sys, datalake_assets.discovery.classifiers.csv_dialect; print([m for m in ('pyarrow', 'pandas', 'duckdb', 'numpy') if m in sys.modules])"  # noqa: E501
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
