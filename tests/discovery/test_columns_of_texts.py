"""What type the texts of a column have."""

import pytest

from tests.discovery.records import column, flat, header


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-2", "2147483647"], "int"),
        (["1", "2147483648"], "bigint"),
        (["9223372036854775807", "1"], "bigint"),
        (["9223372036854775808", "1"], "decimal(38,0)"),
        (["1" * 39, "1"], "varchar"),
        (["1", "2.50"], "decimal(9,2)"),
        (["123456789.01", "1"], "decimal(18,2)"),
        (["1" * 30 + ".123456789"], "varchar"),
        (["1.5e10", "2"], "double"),
        (["52.520008", "13.4"], "double"),
        (["00123", "12345"], "varchar"),
        (["0", "1"], "int"),
        (["true", "False"], "boolean"),
        (["yes", "NO"], "boolean"),
        (["y", "n"], "boolean"),
        (["y", "x"], "varchar"),
        (["NO", "no"], "varchar"),
        (["2026-11-20", "2026-11-21"], "date"),
        (["2026-11-20", "2026-11-21T10:00:00Z"], "timestamp"),
        (["2026-13-45", "2026-11-21"], "varchar"),
        (["10.1.2.3", "10.1.2.4"], "varchar"),
        (["10:30", "11:45"], "varchar"),
        (["hello", "world"], "varchar"),
    ],
)
def test_the_type_is_the_least_that_holds_all_values(values: list[str], expected: str) -> None:
    assert str(column(values).type) == expected


@pytest.mark.parametrize(
    ("values", "expected", "formats"),
    [
        (["25/03/2026", "01/02/2026"], "date", ["%d/%m/%Y"]),
        (["03/25/2026", "01/02/2026"], "date", ["%m/%d/%Y"]),
        (["20.11.2026 10:00", "21.11.2026 09:30"], "timestamp", ["%d.%m.%Y %H:%M"]),
        (["20.11.2026", "21.11.2026 09:30"], "timestamp", ["%d.%m.%Y", "%d.%m.%Y %H:%M"]),
        (["11/20/2026 3:04 PM", "01/02/2026 11:00 AM"], "timestamp", ["%m/%d/%Y %I:%M %p"]),
        (["20-NOV-26", "05-Dec-26"], "date", ["%d-%b-%y"]),
        (["November 20, 2026", "May 5, 2026"], "date", ["%B %d, %Y", "%b %d, %Y"]),
        (["Fri, 20 Nov 2026 10:00:00 +0000"], "timestamp", ["%a, %d %b %Y %H:%M:%S %z"]),
        (["20/Nov/2026:10:00:00 +0100"], "timestamp", ["%d/%b/%Y:%H:%M:%S %z"]),
        (["20261120", "20261121"], "date", ["%Y%m%d"]),
        (["20261120101112", "20261121101112"], "timestamp", ["%Y%m%d%H%M%S"]),
        (["2026-11-20 10:00:00,123"], "timestamp", ["%Y-%m-%d %H:%M:%S,%f"]),
    ],
)
def test_the_formats_of_dates_are_found(values: list[str], expected: str, formats: list[str]) -> None:
    found = column(values)
    assert (str(found.type), [found.format, *found.other_formats]) == (expected, formats)


def test_every_found_format_reads_its_values_in_duckdb() -> None:
    import duckdb

    texts = [
        "25/03/2026", "3/25/2026 3:04 PM", "20-NOV-26", "November 20, 2026", "Fri, 20 Nov 2026 10:00:00 +0000",
        "20/Nov/2026:10:00:00 +0100", "20261120", "20261120T101112", "Fri Nov 20 10:00:00 2026", "2026/1/5 07:08",
        "2026-11-20 10:00:00,123", "20.11.26", "2026-11-20 10:00:00 UTC", "5. Nov 2026",
    ]  # fmt: skip
    for text in texts:
        found = column([text])
        assert found.format, text
        (read,) = duckdb.execute("SELECT try_strptime($1, $2)", [text, found.format]).fetchone() or (None,)
        assert read is not None, (text, found.format)


def test_eight_digits_that_are_not_all_dates_are_numbers() -> None:
    assert str(column(["20261120", "99999999"]).type) == "int"


def test_dates_that_can_be_read_both_ways_are_uncertain() -> None:
    found = column(["05/03/2026", "06/04/2026"])
    assert found.format == "%d/%m/%Y"
    assert found.is_uncertain
    assert "%m/%d/%Y" in found.notes[0]


def test_dates_elsewhere_in_the_table_decide_what_comes_first() -> None:
    unclear, clear = flat(a=["05/03/2026", "06/04/2026"], b=["03.25.2026", "01.02.2026"])
    assert (unclear.format, clear.format) == ("%m/%d/%Y", "%m.%d.%Y")
    assert unclear.certainty > 0.5


@pytest.mark.parametrize(
    ("values", "expected", "decimal", "thousands"),
    [
        (["1,5", "2,75"], "decimal(9,2)", ",", None),
        (["1.234,56", "12"], "decimal(9,2)", ",", "."),
        (["1,234.56", "1,000"], "decimal(9,2)", None, ","),
        (["1 234,5", "12,5"], "decimal(9,1)", ",", " "),
        (["1'234.50", "99.90"], "decimal(9,2)", None, "'"),
        (["1.234.567", "2.000"], "int", ",", "."),
        (["1.5", "2.25"], "decimal(9,2)", None, None),
    ],
)
def test_separators_are_found_for_the_whole_column(
    values: list[str], expected: str, decimal: str | None, thousands: str | None
) -> None:
    found = column(values)
    assert (str(found.type), found.decimal, found.thousands) == (expected, decimal, thousands)


def test_a_comma_before_three_digits_is_uncertain() -> None:
    found = column(["1,234", "12,345"])
    assert (str(found.type), found.thousands, found.is_uncertain) == ("int", ",", True)


def test_null_tokens_are_recognised_beside_numbers_and_counted() -> None:
    found = column(["1", "NA", "-", "2", "", None, "NA"])
    assert (str(found.type), found.null_values, found.nulls, found.count) == ("int", ("-", "NA"), 5, 7)


def test_a_text_that_could_mean_null_stays_one_in_a_column_of_texts() -> None:
    found = column(["NA", "DE", "FR", "\\N"])
    assert (found.null_values, found.nulls) == (("\\N",), 1)
    assert any("may mean null: 'NA' (1)" in note for note in found.notes)


def test_a_column_without_values_is_an_uncertain_text() -> None:
    found = column(["", None, "-"])
    assert (str(found.type), found.nulls, found.is_uncertain) == ("varchar", 3, True)


def test_two_texts_among_ten_thousand_integers_go_to_quarantine() -> None:
    found = column([str(number) for number in range(9_998)] + ["x", "y"])
    assert (str(found.type), found.on_conflict) == ("int", "quarantine")
    (conflict,) = found.conflicts
    assert (conflict.type, conflict.count, set(conflict.examples), conflict.where) == (
        "varchar",
        2,
        {"x", "y"},
        "file.csv",
    )


def test_one_text_in_twenty_is_split_off() -> None:
    found = column([*map(str, range(57)), "a", "b", "c"])
    assert (str(found.type), found.on_conflict, found.is_uncertain) == ("int", "split", True)


def test_a_column_of_half_texts_and_half_numbers_is_text_with_its_conflict() -> None:
    found = column(["1", "2", "a", "b"])
    assert (str(found.type), found.on_conflict) == ("varchar", "text")
    assert {(each.type, each.count) for each in found.conflicts} == {("int", 2), ("varchar", 2)}


def test_a_date_in_the_other_order_is_the_conflict_that_is_told() -> None:
    found = column(["25/03/2026"] * 30 + ["03/25/2026"])
    assert (found.format, [each.examples for each in found.conflicts]) == ("%d/%m/%Y", [("03/25/2026",)])


def test_seconds_since_1970_are_noted_and_not_converted() -> None:
    found = column(["1700000000", "1800000000"], "created_at")
    assert str(found.type) == "bigint"
    assert "epoch_s" in found.notes[0]
    assert not column(["1700000000", "1800000000"], "population").notes


def test_names_become_valid_and_unique_by_a_fixed_rule() -> None:
    raw = ["ListingID", "id", "ID", "Id", "", "Größe (cm)", "2020", "dt", "_source_file", "日本", "id"]
    found = header(raw)
    assert [each.name for each in found] == [
        "listing_id", "id", "id_2", "id_3", "column_5", "groesse_cm", "c_2020", "dt_2", "source_file", "column_10",
        "id_4",
    ]  # fmt: skip
    assert [each.raw_path for each in found] == raw
    assert "differs from 'id' only by case" in found[2].notes
    assert "has no name in the file" in found[4].notes
    assert "the header names 'id' more than once" in found[10].notes


def test_long_names_are_cut_and_stay_unique() -> None:
    names = [each.name for each in header(["a" * 80, "a" * 81])]
    assert [len(name) for name in names] == [63, 63]
    assert len(set(names)) == 2
