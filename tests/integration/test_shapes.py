"""Files of every shape, crawled, scaffolded and run, hold the rows that went into them."""

import bz2
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_scaffold import materialize, rows, scaffolded
from tests.integration.user import Platform

pytestmark = pytest.mark.slow

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Shape:
    """Files below a prefix, and the columns of their rows as texts (None: null), in any order."""

    files: Mapping[str, bytes]
    expected: list[tuple[str | None, ...]]
    columns: tuple[str, ...]
    days: tuple[str, ...] = ()


def _people(count: int = 40) -> list[tuple[str, str, str]]:
    return [(f"{n:04}", f"Müller; {n}", f"{n}.25") for n in range(1, count + 1)]


def _csv(
    delimiter: str, *, quote: str = '"', end: str = "\n", header: bool = True, before: str = "", after: str = ""
) -> str:
    lines = [delimiter.join(("code", "name", "price"))] if header else []
    lines += [delimiter.join((a, f"{quote}{b}{quote}", c)) for a, b, c in _people()]
    return before + end.join(lines) + end + after


def _numbered(prefix: str) -> bytes:
    return ("id,val\n" + "".join(f"{prefix}{n},v{n}\n" for n in range(10))).encode()


def semicolon() -> Shape:
    return Shape({"p.csv": _csv(";", end="\r\n").encode("cp1252")}, list(_people()), ("code", "name", "price"))


def no_header() -> Shape:
    return Shape({"p.csv": _csv(",", header=False).encode()}, list(_people()), ("column_1", "column_2", "column_3"))


def preamble_footer() -> Shape:
    text = _csv("\t", before="Export\nof 2026-01-01\n\n", after="Total: 40 rows\n")
    return Shape({"p.tsv": text.encode("utf-16")}, list(_people()), ("code", "name", "price"))


def apostrophes_bz2() -> Shape:
    return Shape({"p.csv.bz2": bz2.compress(_csv("|", quote="'").encode())}, list(_people()), ("code", "name", "price"))


def two_headers() -> Shape:
    text = "Region,Sales,,Costs,\n,2025,2026,2025,2026\n" + "".join(
        f"R{n},{n},{n + 1},{n + 2},{n + 3}\n" for n in range(100, 130)
    )
    return Shape(
        {"p.csv": text.encode()},
        [(f"R{n}", str(n), str(n + 1), str(n + 2), str(n + 3)) for n in range(100, 130)],
        ("region", "sales_2025", "sales_2026", "costs_2025", "costs_2026"),
    )


def quoted_newlines() -> Shape:
    people = [(str(n), f'line one {n}\nsaid "hi", {n}') for n in range(30)]
    text = '"id","the\nnote"\n' + "".join('{},"{}"\n'.format(a, b.replace('"', '""')) for a, b in people)
    return Shape({"p.csv": text.encode()}, list(people), ("id", "the_note"))


def several_characters() -> Shape:
    text = "a||b||c\n" + "".join(f"{n}||x {n}||{n}.5\n" for n in range(30))
    return Shape({"p.txt": text.encode()}, [(str(n), f"x {n}", f"{n}.5") for n in range(30)], ("a", "b", "c"))


def numbers_and_dates() -> Shape:
    text = "id;betrag;am;big;flag\n" + "".join(
        f"{n};1.{n:03},50;{n % 28 + 1:02}.03.2026;{10**18 + n}{n % 10};{'ja' if n % 2 else 'nein'}\n" for n in range(30)
    )
    return Shape(
        {"p.csv": text.encode()},
        [
            (str(n), f"1{n:03}.50", f"2026-03-{n % 28 + 1:02}", f"{10**18 + n}{n % 10}", "ja" if n % 2 else "nein")
            for n in range(30)
        ],
        ("id", "betrag", "am", "big", "flag"),
    )


def json_array() -> Shape:
    records = [{"id": n, "user": {"name": f"ü{n}", "age": None if n % 3 else n}, "ok": n % 2 == 0} for n in range(30)]
    return Shape(
        {"p.json": json.dumps(records, indent=1).encode()},
        [(str(n), f"ü{n}", None if n % 3 else str(n), str(n % 2 == 0)) for n in range(30)],
        ("id", "user_name", "user_age", "ok"),
    )


def json_envelope() -> Shape:
    body = {"meta": {"page": 1}, "response": {"items": [{"id": n, "val": n / 4} for n in range(30)]}}
    return Shape({"p.json": json.dumps(body).encode()}, [(str(n), f"{n / 4:.2f}") for n in range(30)], ("id", "val"))


def json_concatenated() -> Shape:
    text = "".join(json.dumps({"id": n, "val": f"x{n}"}, indent=n % 2 or None) for n in range(30))
    return Shape({"p.json": text.encode()}, [(str(n), f"x{n}") for n in range(30)], ("id", "val"))


def json_lines_by_hive_key() -> Shape:
    files = {
        f"dt=2026-05-{day:02}/country={country}/p.jsonl.gz": gzip.compress(
            "".join(json.dumps({"id": f"{day}{country}{n}", "n": n}) + "\n" for n in range(10)).encode()
        )
        for day in (1, 2)
        for country in ("DE", "AT")
    }
    return Shape(
        files,
        [(f"{d}{c}{n}", str(n), c, f"2026-05-{d:02}") for d in (1, 2) for c in ("DE", "AT") for n in range(10)],
        ("id", "n", "country", "dt"),
        ("2026-05-01", "2026-05-02"),
    )


def positional_days() -> Shape:
    files = {f"2026/06/{day:02}/part-{part}.csv": _numbered(f"{day}{part}") for day in (3, 4) for part in (0, 1)}
    return Shape(
        files,
        [(f"{d}{p}{n}", f"v{n}") for d in (3, 4) for p in (0, 1) for n in range(10)],
        ("id", "val"),
        ("2026-06-03", "2026-06-04"),
    )


def date_in_name() -> Shape:
    files = {f"sales_2026-07-0{day}.csv": _numbered(f"{day}") for day in (3, 4)}
    return Shape(
        files, [(f"{d}{n}", f"v{n}") for d in (3, 4) for n in range(10)], ("id", "val"), ("2026-07-03", "2026-07-04")
    )


def xml() -> Shape:
    text = "<?xml version='1.0' encoding='ISO-8859-1'?><c>" + "".join(
        f"<p id='{n}'><name>Nä &amp; {n}</name><price cur='EUR'>{n}.50</price></p>" for n in range(20)
    )
    return Shape(
        {"p.xml": (text + "</c>").encode("latin-1")},
        [(str(n), f"Nä & {n}", "EUR", f"{n}.50") for n in range(20)],
        ("id", "name", "price_cur", "price_text"),
    )


def avro() -> Shape:
    import fastavro

    schema = {
        "type": "record",
        "name": "r",
        "fields": [
            {"name": "id", "type": "long"},
            {"name": "s", "type": ["null", "string"]},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "cost", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        ],
    }
    target = io.BytesIO()
    fastavro.writer(
        target,
        schema,
        [
            {
                "id": n,
                "s": None if n % 3 else f"s{n}",
                "at": datetime(2026, 1, 1, n, tzinfo=UTC),
                "cost": Decimal(f"{n}.25"),
            }
            for n in range(20)
        ],
    )
    return Shape(
        {"p.avro": target.getvalue()},
        [(str(n), None if n % 3 else f"s{n}", f"2026-01-01 {n:02}:00:00", f"{n}.25") for n in range(20)],
        ("id", "s", "at", "cost"),
    )


def _parquet_or_orc(write: Callable[[Any, io.BytesIO], None], name: str) -> Shape:
    import pyarrow as pa

    made = pa.table(
        {
            "Id": pa.array(range(20), pa.int64()),
            "cost": pa.array([Decimal(f"{n}.25") for n in range(20)], pa.decimal128(12, 2)),
            "At": pa.array([datetime(2026, 1, 1, n) for n in range(20)], pa.timestamp("us")),
            "tags": pa.array([[f"a{n}", "b"] for n in range(20)]),
            "place": pa.array([{"lat": n / 4} for n in range(20)]),
        }
    )
    target = io.BytesIO()
    write(made, target)
    return Shape(
        {name: target.getvalue()},
        [(str(n), f"{n}.25", f"2026-01-01 {n:02}:00:00", str([f"a{n}", "b"]), str(n / 4)) for n in range(20)],
        ("id", "cost", "at", "tags", "place_lat"),
    )


def parquet() -> Shape:
    import pyarrow.parquet as pq

    return _parquet_or_orc(pq.write_table, "p.parquet")


def orc() -> Shape:
    from pyarrow import orc

    return _parquet_or_orc(orc.write_table, "p.orc")


def syslog() -> Shape:
    text = "".join(f"Oct {n:2} 13:55:{n:02} host{n} prog[{n}]: message, {n}\n" for n in range(1, 21))
    return Shape(
        {"p.log": text.encode()},
        [(f"host{n}", str(n), f"message, {n}") for n in range(1, 21)],
        ("host", "pid", "message"),
    )


def stack_traces() -> Shape:
    text = "".join(
        f"2026-01-02 10:00:{n:02},123 [main] INFO com.x.Y - msg {n}\n"
        + ("java.lang.Error: x\n\tat Z.java:1\n" if n == 5 else "")
        for n in range(20)
    )
    return Shape(
        {"p.log": text.encode()},
        [("INFO", f"msg {n}" + ("\njava.lang.Error: x\n\tat Z.java:1" if n == 5 else "")) for n in range(20)],
        ("level", "message"),
    )


def zip_of_two() -> Shape:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", "id,val\n" + "".join(f"{n},a{n}\n" for n in range(10)))
        archive.writestr("b.csv", "id,val\n" + "".join(f"{n},b{n}\n" for n in range(10)))
    return Shape({"p.zip": target.getvalue()}, [(str(n), f"{x}{n}") for x in "ab" for n in range(10)], ("id", "val"))


def odd_names_of_files() -> Shape:
    body = "id,val\n" + "".join(f"{n},v{n}\n" for n in range(10))
    names = ["a b.csv", "ü'\".csv", "c+d%20.csv", "e&f=g.csv", "[h].csv", "i#j?k.csv"]
    return Shape(
        {name: body.encode() for name in names}, [(str(n), f"v{n}") for n in range(10)] * len(names), ("id", "val")
    )


def called_like_the_folder_of_versions() -> Shape:
    text = "id,v\n" + "".join(f"{n},v{n}\n" for n in range(10))
    return Shape({"p.csv": text.encode()}, [(str(n), f"v{n}") for n in range(10)], ("id", "v_2"))


SHAPES = [
    semicolon, no_header, preamble_footer, apostrophes_bz2, two_headers, quoted_newlines, several_characters,
    numbers_and_dates, json_array, json_envelope, json_concatenated, json_lines_by_hive_key, positional_days,
    date_in_name, xml, avro, parquet, orc, syslog, stack_traces, zip_of_two, odd_names_of_files,
    called_like_the_folder_of_versions,
]  # fmt: skip


def _text(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and value != value):
        return None
    if type(value).__name__ in ("ndarray", "list"):
        return str(list(value))
    return str(value)


@pytest.mark.parametrize("shape_of", SHAPES, ids=lambda shape: shape.__name__)
def test_the_lake_holds_what_the_files_held(platform: Platform, tmp_path: Path, shape_of: Callable[[], Shape]) -> None:
    shape = shape_of()
    prefix = f"shape_{shape_of.__name__}"
    for name, body in shape.files.items():
        platform.put(f"{prefix}/{name}", body)
    declaration = scaffolded(platform, prefix, tmp_path)
    for day in shape.days or (None,):
        materialize(platform, declaration, day)
    found = rows(platform, declaration.spec.name, shape.days or None)
    assert set(shape.columns) <= set(found[0]), list(found[0])
    held = sorted((tuple(_text(row[name]) for name in shape.columns) for row in found), key=str)
    assert held == sorted(shape.expected, key=str)
