"""Every kind of text becomes the same value on Spark as on DuckDB, or none on both.

Texts are examples and random mutations of them. Where an engine differs, `KNOWN` says so, and a difference that is
new or gone fails.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datalake_assets.column_types import TargetType
from datalake_assets.errors import Unsupported
from datalake_assets.mapping import sql_values
from datalake_assets.mapping.spark import values as spark_values
from datalake_assets.mapping.spark.formats import compile_format
from datalake_assets.mapping.sql_values import Reading

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MUTATIONS = 25
CASES_A_QUERY = 8


def _each(text: str, end: str | None = None) -> tuple[str, ...]:
    return tuple(text.split(end))


DIGITS = "0123456789"
WHOLE = (
    *_each(
        "12,12.0,12.,007, 12 ,32767,32768,-32768,2147483647,2147483648,-2147483649,9223372036854775807,"
        "9223372036854775808,-9223372036854775808,9007199254740993.000,+5,1e3,0x1F,1_000,-0,+-1,٣,12\n,\x0b12,\u00a012",
        ",",
    ),
    "",
    "0" * 70 + "1",
)
NUMBERS = (
    *WHOLE,
    *_each(
        "1.005 -0.005 -.005 .5 5. 9999.994 9999.995 -9999.995 1e3 1E+3 1.5e1 0.1e3 3.4028235e38 3.4028236e38 1e400 "
        "1.7976931348623157e308 1.7976931348623159e308 nan inf -inf 1d 1f 1L 0x1p3 16777217 0.1 1.e2 2.5 3.5 -2.5 "
        "123456789012345678901234567890 0.12345678901234567890123456789 123456e-3 1e-400 9999994e-3 9999995E-3"
    ),
    "9" * 38,
    "9" * 39,
    "0." + "9" * 45,
)
TIMES = _each(
    "2024-01-05|2024-01-05 10:00|2024-01-05T10:00:00Z|2024-01-05 10:00:00.123456789|2024-01-05 24:00:00|"
    "2024-01-05 24:00:00.0000001|2024-01-05 24:01|2024-01-05T12:30:00+02:30|2024-01-05 12:00+02|infinity|"
    "2024-01-05 12:00:00.5-0500|2024-12-31 23:59:59+99:99|9999-12-31 23:59:59|9999-12-31 23:59:59-01:00|"
    "0001-01-01 00:00+01:00|0000-01-01|2024-02-30|2023-02-29 10:00|1582-10-10 10:00|1900-02-29|2024-01-05 10:00:60|"
    "2024-01-05 24:00:00+01:00| 2024-01-05 10:00:00 |2024-01-05 10:00:00z|epoch",
    "|",
)
ZONED = _each(
    "2024-10-27 02:30:00|2024-10-27 01:59|2024-10-27 03:00|2024-03-31 02:30|2024-03-31 03:00|2024-06-05|"
    "2024-06-05 10:00Z|2024-06-05 10:00+01:00|1945-05-24 02:30|1947-05-11 03:30|2024-03-10 02:30|2024-11-03 01:30|"
    "2024-04-07 01:45:00|2024-10-06 02:15|2024-06-05 24:00|1900-01-01 00:00|1890-01-01 |2024-06-05\t",
    "|",
)
EPOCHS = _each(
    "0 1700000000 1700000000.5 -1 -0.5 -1.9999999 1700000000123 999999999999999 253402300799 253402300800 "
    "-62135596800 -62135596801 1700000000.123456789 1e3 +5 -377705116800 377705116799 1. 0.9999999",
)
GERMAN = _each(
    "1.234,56 1234,56 12.34 1.23,4 -1.234.567,8 ,5 5, 1.234 1.5 0.001 1.2345,6 .234 12,00 1.000,00 32.768 1.234,5.6",
)


@dataclass(frozen=True)
class Case:
    """Texts to read one way; mutations are made with the letters."""

    reading: Reading
    texts: tuple[str, ...]
    letters: str

    @property
    def name(self) -> str:
        reading = self.reading
        words = [str(reading.type), *reading.formats, reading.time_zone, reading.thousands, reading.decimal]
        return " ".join(word for word in words if word and word != ".")

    def all_texts(self) -> list[str | None]:
        chance = random.Random(self.name)
        return [*self.texts, *(_mutated(chance, self.texts, self.letters) for _ in range(MUTATIONS)), None]


def _mutated(chance: random.Random, texts: tuple[str, ...], letters: str) -> str:
    text = list(chance.choice(texts))
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(text) + 1)
        change: Callable[[], None] = chance.choice(
            [lambda: text.insert(at, chance.choice(letters)), lambda: text.__delitem__(slice(at, at + 1))]  # noqa: B023
        )
        change()
    return "".join(text)


def _case(type_: str, texts: "list[str] | tuple[str, ...]", letters: str, **words: Any) -> Case:
    return Case(Reading(TargetType.parse(type_), **words), tuple(texts), letters)


def _format(format_: str, texts: str, letters: str = DIGITS + "-:.+ /TZ", *, type_: str = "timestamp") -> Case:
    return _case(type_, texts.split("|"), letters, formats=(format_,))


WORDS = DIGITS + " JanFebMarDecmay"
CASES = [
    *(_case(kind, WHOLE, DIGITS + ".+- e") for kind in ("smallint", "int", "bigint")),
    *(_case(f"decimal({size})", NUMBERS, DIGITS + ".+- ") for size in ("6,2", "38,10", "18,0", "38,37", "1,1")),
    *(_case(kind, NUMBERS, DIGITS + ".+- eEdf") for kind in ("double", "real")),
    _case("boolean", [*_each("true TRUE t yes Y 1 false F no n 0 on K trüe"), " true ", "\ttrue"], "truefalsyno01 \t"),
    _case("varchar(3)", ["abc", "abcd", "äb", "äöü", "", "😀", "😀x", "a\0b"], "aä"),
    _case(
        "date", ["2024-01-05", " 2024-01-05 ", "0000-01-01", "9999-12-31", "1582-10-10", "2023-02-29"], DIGITS + "- "
    ),
    _case("timestamp", TIMES, DIGITS + "-:.+ TZ"),
    *(
        _case("timestamp", ZONED, DIGITS + "-: TZ+", time_zone=zone)
        for zone in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "Asia/Kolkata")
    ),
    *(
        _case(kind, EPOCHS, DIGITS + ".+-", formats=(f"epoch_{unit}",))
        for kind in ("timestamp", "date")
        for unit in ("s", "ms")
    ),
    *(
        _case(kind, GERMAN, DIGITS + ".,+-", decimal=",", thousands=".")
        for kind in ("decimal(12,2)", "int", "bigint", "double")
    ),
    _case("decimal(12,2)", GERMAN, DIGITS + ".,+-", decimal=","),
    _case("bigint", ["1 234", "1234", "12 34", " 1 234 567 "], "0123 ", thousands=" "),
    _case("int", ["1|234", "12|34"], "0123|", thousands="|"),
    _case("date", ["05.01.2024", "2024-01-05", "1/5/24"], DIGITS + "./-", formats=("%d.%m.%Y", "iso", "%m/%d/%y")),
    _case(
        "timestamp",
        ["27.10.2024 02:30", "31.03.2024 02:30", "2024-03-31 02:30", "1700000000", "2024-01-05T10:00Z"],
        DIGITS + "-: TZ+.",
        formats=("%d.%m.%Y %H:%M", "iso", "epoch_s", "%Y-%m-%dT%H:%M%z"),
        time_zone="Europe/Berlin",
    ),
    _format(
        "%d.%m.%Y",
        "05.01.2024|5.1.2024| 05.01.2024 |31.02.2024|5.1.24|00.00.0000|05.01.0000|epoch|infinity",
        type_="date",
    ),
    _format("%Y%m%d", "20240105|2024105|202411| 20240105|2024 105", type_="date"),
    _format("%y-%m-%d", "68-1-1|69-01-01|00-01-01|99-12-31|5-1-1", type_="date"),
    _format("%d.%m.%Y %H:%M", "05.01.2024 10:00|05.01.2024  1:2|05.01.2024\t23:59|05.01.202410:00|05.01.2024 24:00"),
    _format("%Y-%m-%d %H:%M:%S.%f", "2024-01-05 01:02:03.5|2024-01-05 01:02:03.123456|2024-01-05 01:02:03.1234567"),
    _format("%Y-%m-%d %H%M%S%f", "2024-01-05 0102035|2024-01-05 010203123456|2024-01-05 1 02031"),
    _format("%d %b %Y", "5 Jan 2024|05 dec 2024|5 mAy 2024|5Feb2024", WORDS),
    _format("%A %d %B %Y", "Friday 5 January 2024|monday 05 december 2024|SUNDAY 5 May 2024", WORDS),
    _format(
        "%a, %d %b %Y %H:%M:%S %z",
        "Fri, 05 Jan 2024 10:00:00 +0200|Sun, 5 May 2024 1:2:3 -02:30|Mon, 5 Feb 2024 10:00:00 Z|"
        "Mon, 5 Feb 2024 10:00:00 +99:99|Mon, 5 Feb 2024 10:00:00 +02:30:15|Mon, 5 Feb 2024 10:00:00 +0230:15",
        WORDS + "+-:Z",
    ),
    _format("%Y-%j", "2024-001|2024-1|2024-366|2023-366|2024-0|2024-367"),
    _format("%Y-%m-%d %I:%M %p", "2024-01-05 12:00 AM|2024-01-05 12:00 pm|2024-01-05 1:00PM|2024-01-05 13:00 PM"),
    _format("%Y-%m-%d %H:%M %p", "2024-01-05 12:00 AM|2024-01-05 13:00 PM|2024-01-05 00:30 PM|2024-01-05 13:30 AM"),
    _format("%Y-%m-%dT%H:%M:%S%z", "2024-01-05T12:00:00+02:00|2024-01-05T12:00:00z |2024-01-05T12:00:00+02:3"),
    _format("%d %m %Y", "05 01 2024|5 1 2024|0501 2024|05012024|1 112024", type_="date"),
    _format("a.*(%Y)%%\\", "a.*(2024)%\\", "a.*()\\%2024"),
    _format("%Y-%m-%d 0%H", "2024-01-05 010|2024-01-0501|2024-01-5001"),
    _format("%Y-%-m-%-d %-H:%-M:%-S", "2024-1-5 1:2:3|2024-01-05 10:02:03"),
    _format("%Y %p", "2024 PM|2024 AM", " 0123PpMmAa"),
]


def test_spark_reads_texts_as_duckdb_does(spark: "SparkSession", tmp_path: Path) -> None:
    assert differences(spark, CASES, tmp_path) == []


def test_the_embedded_spark_reads_texts_as_duckdb_does(sail: "SparkSession", tmp_path: Path) -> None:
    decimals = [case for case in CASES if case.reading.type.kind == "decimal"]
    zoned = [case for case in CASES if case.reading.time_zone]
    # What it does otherwise is in KNOWN: numbers with exponents, and zones after 2037.
    plain = [Case(c.reading, tuple(t for t in c.texts if "e" not in t.lower()), c.letters) for c in decimals]
    assert differences(sail, [case for case in CASES if case not in [*decimals, *zoned]] + plain, tmp_path) == []
    assert differences(sail, zoned, tmp_path, mutated=False) == []


# What differs, by the engines that differ from DuckDB: the text, what DuckDB makes of it, what the engine makes of it.
KNOWN: dict[str, list[tuple[Case, str | None, str | None]]] = {
    "spark": [
        # DuckDB has room for 38 digits on the way.
        (_case("decimal(6,2)", ["1234567890123456789012345678901234567890e-37"], ""), None, "123.46"),
        # The zones of DuckDB's library end their rules for Morocco in 2037.
        (
            _case("timestamp", ["2040-07-01 12:00"], "", time_zone="Africa/Casablanca"),
            "2040-07-01 12:00:00",
            "2040-07-01 11:00:00",
        ),
    ],
    "sail": [
        (_case("decimal(6,2)", ["1e3"], ""), "1000.00", None),
        (_case("decimal(6,2)", ["123456e-3"], ""), "123.46", None),
        (
            _case("timestamp", ["2100-07-01 12:00"], "", time_zone="Europe/Berlin"),
            "2100-07-01 10:00:00",
            "2100-07-01 11:00:00",
        ),
    ],
}


@pytest.mark.parametrize("engine", KNOWN)
def test_known_differences_are_still_there(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    session = request.getfixturevalue(engine)
    for case, by_duckdb, by_engine in KNOWN[engine]:
        only = Case(case.reading, case.texts, "")
        ((_, _, left, right),) = differences(session, [only], tmp_path, mutated=False)
        assert (left, right) == (_comparable(case, by_duckdb), _comparable(case, by_engine)), case


@pytest.mark.parametrize("format_", ["%Y %y", "%d %j %Y", "%H %I %Y", "%m %b %Y", "%Y %z%H"])
def test_a_format_that_hangs_on_the_order_of_reading_is_refused(format_: str) -> None:
    with pytest.raises(Unsupported, match="format"):
        compile_format(format_, "x")


def differences(
    session: "SparkSession", cases: list[Case], folder: Path, *, mutated: bool = True
) -> list[tuple[str, str | None, Any, Any]]:
    """Case, text, DuckDB's value and Spark's, wherever they are not the same."""
    session.conf.set("spark.sql.session.timeZone", "UTC")
    session.conf.set("spark.sql.ansi.enabled", "false")
    texts = [case.all_texts() if mutated else list(case.texts) for case in cases]
    rows = [(number, at, text) for number, each in enumerate(texts) for at, text in enumerate(each)]
    path = folder / "texts.parquet"
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    pq.write_table(pa.Table.from_arrays(columns, ["number", "place", "text"]), path)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    found = []
    # Several at once: planning a query takes Spark longer than running it.
    for start in range(0, len(cases), CASES_A_QUERY):
        some = {number: cases[number] for number in range(start, min(start + CASES_A_QUERY, len(cases)))}
        by_duckdb = dict(_of_rows(connection.execute(_query(some, sql_values, "VARCHAR", f"'{path}'")).fetchall()))
        by_spark = dict(_of_rows(session.sql(_query(some, spark_values, "STRING", f"parquet.`{path}`")).collect()))
        assert by_duckdb.keys() == by_spark.keys()
        for (number, place), value in by_duckdb.items():
            one, other = _comparable(cases[number], value), _comparable(cases[number], by_spark[number, place])
            if one != other:
                found.append((cases[number].name, texts[number][place], one, other))
    return found


def _query(cases: dict[int, Case], engine: Any, text_type: str, source: str) -> str:
    """Number, place and value as text of all texts of some cases."""
    casts = [
        f"CASE WHEN number = {number} THEN {engine.cast(case.reading, 'text')} END AS v{number}"
        for number, case in cases.items()
    ]
    values = " ".join(
        f"WHEN {number} THEN CAST({_wide(engine.accepted(case.reading.type, f'v{number}'), case)} AS {text_type})"
        for number, case in cases.items()
    )
    return (
        f"SELECT number, place, CASE number {values} END AS value FROM (SELECT number, place, {', '.join(casts)} "
        f"FROM {source} WHERE number BETWEEN {min(cases)} AND {max(cases)})"
    )


def _of_rows(rows: Iterable[Any]) -> Iterator[tuple[tuple[int, int], str | None]]:
    return (((row[0], row[1]), row[2]) for row in rows)


def _wide(value: str, case: Case) -> str:
    """A float as a double, so that its text is not rounded."""
    return f"CAST({value} AS DOUBLE)" if case.reading.type.kind == "real" else value


def _comparable(case: Case, text: str | None) -> Any:
    kind = case.reading.type.kind
    if text is None:
        return None
    if kind in ("real", "double"):
        return float(text)
    if kind == "decimal":
        return Decimal(text)
    return text.rstrip("0").rstrip(".") if kind == "timestamp" and "." in text else text
