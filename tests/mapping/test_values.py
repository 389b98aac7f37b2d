"""What each type takes for its value and what it refuses; docs/mapping.md shows the same."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.mapping.builders import build_spec, run_mapping

REFUSED = object()
DAY = dt.date(2024, 1, 5)
TEN = dt.datetime(2024, 1, 5, 10)

VALUES: list[tuple[str, str | None, list[tuple[str, Any]]]] = [
    ("smallint", None, [("32767", 32767), ("32768", REFUSED), ("-5", -5), ("+5", 5)]),
    (
        "int",
        None,
        [
            ("12.0", 12),
            ("12.", 12),
            (" 12 ", 12),
            ("007", 7),
            ("12.7", REFUSED),
            ("1e3", REFUSED),
            ("0x1F", REFUSED),
            ("1_000", REFUSED),
            ("1,000", REFUSED),
            ("2147483648", REFUSED),
            ("1 2", REFUSED),
        ],
    ),
    ("bigint", None, [("9007199254740993.0", 9007199254740993), ("9223372036854775808", REFUSED)]),
    (
        "decimal(6,2)",
        None,
        [
            ("1.005", Decimal("1.01")),
            ("-0.005", Decimal("-0.01")),
            ("1e3", Decimal("1000.00")),
            (".5", Decimal("0.50")),
            (" 3 ", Decimal("3.00")),
            ("9999.99", Decimal("9999.99")),
            ("9999.995", REFUSED),
            ("10000", REFUSED),
            ("1_0", REFUSED),
            ("1,5", REFUSED),
            ("nan", REFUSED),
        ],
    ),
    (
        "double",
        None,
        [("1e3", 1000.0), *((text, REFUSED) for text in ("nan", "inf", "1e400", "1_0", "+-7", "1e", "0x1F"))],
    ),
    ("real", None, [("1.5", 1.5), ("1e39", REFUSED)]),
    (
        "boolean",
        None,
        [
            *((text, True) for text in ("true", "TRUE", "t", "yes", "Y", "1", " true ")),
            *((text, False) for text in ("false", "F", "no", "n", "0")),
            *((text, REFUSED) for text in ("on", "2", "1.0", "wahr")),
        ],
    ),
    ("varchar", None, [(" x ", " x "), ("NA", "NA"), ("x" * 65_535, "x" * 65_535), ("x" * 65_536, REFUSED)]),
    ("varchar(3)", None, [("abc", "abc"), ("abcd", REFUSED), ("äb", "äb"), ("äöü", REFUSED)]),
    (
        "date",
        None,
        [
            ("2024-01-05", DAY),
            (" 2024-01-05 ", DAY),
            *((text, REFUSED) for text in ("2024-1-5", "2024/01/05", "20240105", "2024-02-30", "2024-01-05 00:00:00")),
            *((text, REFUSED) for text in ("infinity", "epoch", "0000-01-01", "12024-01-01")),
        ],
    ),
    ("date", "%d.%m.%Y", [("05.01.2024", DAY), ("5.1.2024", DAY), ("2024-01-05", REFUSED), ("31.02.2024", REFUSED)]),
    ("date", "%Y%m%d", [("20240105", DAY), ("0000", REFUSED)]),
    (
        "timestamp",
        None,
        [
            ("2024-01-05", dt.datetime(2024, 1, 5)),
            ("2024-01-05 10:00", TEN),
            ("2024-01-05T10:00:00Z", TEN),
            ("2024-01-05T12:30:00+02:30", TEN),
            ("2024-01-05 12:00:00+02", TEN),
            ("2024-01-05T05:00:00.5-0500", TEN.replace(microsecond=500_000)),
            ("2024-01-05 10:00:00.123456789", TEN.replace(microsecond=123_456)),
            ("9999-12-31 23:59:59", dt.datetime(9999, 12, 31, 23, 59, 59)),
            ("2024-01-05 10:00:00 UTC", REFUSED),
            ("2024-01-05 10:00:00 Europe/Berlin", REFUSED),
            ("2024-1-5 1:2:3", REFUSED),
            ("2024-01-05 25:00:00", REFUSED),
            ("infinity", REFUSED),
        ],
    ),
    ("timestamp", "%d.%m.%Y %H:%M", [("05.01.2024 10:00", TEN), ("05.01.2024 10", REFUSED)]),
    (
        "timestamp",
        "%Y-%m-%dT%H:%M:%S%z",
        [
            ("2024-01-05T12:00:00+02:00", TEN),
            ("2024-01-05T12:00:00+0200", TEN),
            ("2024-01-05T10:00:00Z", TEN),
            ("2024-01-05T10:00:00", REFUSED),
        ],
    ),
]


@pytest.mark.parametrize(("type_", "format_", "cases"), VALUES, ids=[f"{t} {f or ''}" for t, f, _ in VALUES])
def test_values_become_their_type_or_go_to_quarantine(
    type_: str, format_: str | None, cases: list[tuple[str, Any]], tmp_path: Path
) -> None:
    column = {"from": "a", "to": "a", "type": type_, "format": format_}
    content = "a,b\n" + "".join(f'"{text}",x\n' for text, _ in cases)
    mapped = run_mapping(build_spec(column, "b:varchar"), content.encode(), tmp_path)
    found = {row["_source_row"]: row["a"] for row in mapped.good} | dict.fromkeys(mapped.bad_rows, REFUSED)
    assert [(text, found[number]) for number, (text, _) in enumerate(cases, start=2)] == cases


def test_parquet_types_are_those_of_the_glue_table(tmp_path: Path) -> None:
    types = ["smallint", "int", "bigint", "real", "double", "decimal(12,2)", "boolean", "varchar(9)", "date"]
    spec = build_spec(*(f"c{n}:{t}" for n, t in enumerate([*types, "timestamp", "string"])))
    header = ",".join(f"c{n}" for n in range(11))
    content = f"{header}\n1,1,1,1,1,1,1,x,2024-01-05,2024-01-05,x\n".encode()
    full = run_mapping(spec, content, tmp_path)
    (tmp_path / "empty").mkdir()
    empty = run_mapping(spec, header.encode(), tmp_path / "empty")
    assert full.table.schema == empty.table.schema
    assert empty.result.rows_in == 0
    assert full.table.schema.types == [
        pa.int16(),
        pa.int32(),
        pa.int64(),
        pa.float32(),
        pa.float64(),
        pa.decimal128(12, 2),
        pa.bool_(),
        pa.string(),
        pa.date32(),
        pa.timestamp("us"),
        pa.string(),
        pa.string(),
        pa.string(),
        pa.int64(),
    ]
    parquet = pq.ParquetFile(full.result.good_files[0])
    assert [parquet.schema.column(n).physical_type for n in (1, 2, 8, 9)] == ["INT32", "INT64", "INT32", "INT64"]
    assert full.table.column_names == [column.name for column in spec.output_columns()]
    assert {parquet.metadata.row_group(0).column(n).compression for n in range(14)} == {"ZSTD"}


def test_quarantine_has_one_schema_for_all_tables(tmp_path: Path) -> None:
    mapped = run_mapping(build_spec("a:int"), b"a\nx\n1,2\n", tmp_path)
    schema = pq.read_schema(mapped.result.quarantine_files[0])
    assert schema.names == ["_reason", "_column", "_raw", "_source_file", "_source_row"]
    assert schema.types == [pa.string()] * 4 + [pa.int64()]


def test_null_tokens_are_compared_exactly(tmp_path: Path) -> None:
    spec = build_spec("a:varchar", "b:int", null_values=["", "NA", "-", "null", "n/a", "it's"])
    mapped = run_mapping(spec, b'a,b\nNA,NA\n NA ,-\n"",null\nna,it\'s\n', tmp_path)
    assert mapped.values("a") == [None, " NA ", None, "na"]
    assert mapped.values("b") == [None] * 4


def test_without_null_tokens_an_empty_text_stays_one(tmp_path: Path) -> None:
    mapped = run_mapping(build_spec("a:varchar", "b:int", null_values=[]), b"a,b\n,1\n,\n", tmp_path)
    assert mapped.values("a") == [""]
    assert mapped.bad_rows == [3]


def test_a_row_is_put_aside_with_all_its_reasons_and_its_own_texts(tmp_path: Path) -> None:
    spec = build_spec("id:int!", "price:decimal(6,2)", "name:varchar", null_values=["", "NA"])
    mapped = run_mapping(spec, b'id,price,name,"o\'dd"\nNA,"1,5",x,"say ""hi"""\n', tmp_path)
    assert mapped.bad == [
        {
            "_reason": "id is required but null; price '1,5' is not a valid decimal(6,2)",
            "_column": "id, price",
            "_raw": '{"id":"NA","price":"1,5","name":"x","o\'dd":"say \\"hi\\""}',
            "_source_file": "s3://raw/file.csv",
            "_source_row": 2,
        }
    ]


def test_surplus_columns_are_rescued_as_json(tmp_path: Path) -> None:
    content = 'a,"x ""y",b,,b\n1,ä,,"t\n",z\n2,,,,\n'.encode()
    mapped = run_mapping(build_spec("a:int"), content, tmp_path)
    assert mapped.values("_rescued_data") == ['{"x \\"y":"ä","column 4":"t\\n","b (column 5)":"z"}', None]


def test_one_raw_column_can_become_two_target_columns(tmp_path: Path) -> None:
    columns = ({"from": "a", "to": "n", "type": "int"}, {"from": "a", "to": "s", "type": "string"})
    assert run_mapping(build_spec(*columns), b"a\n07\n", tmp_path).good[0]["s"] == "07"


def test_names_of_a_header_cannot_reach_the_sql(tmp_path: Path) -> None:
    name = "x'); DROP TABLE staged; --\"\\"
    column = {"from": name, "to": "select", "type": "int"}
    header = '"' + name.replace('"', '""') + '"'
    mapped = run_mapping(build_spec(column), f"{header},'\n7,8\nx,y\n".encode(), tmp_path)
    assert mapped.values("select") == [7]
    assert mapped.values("_rescued_data") == ['{"\'":"8"}']
    assert mapped.bad_rows == [3]
