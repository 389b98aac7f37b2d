"""`datalake preview`: the rows of any file on the standard output, what is said about them on the other."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from datalake_assets.cli import main

ORDERS = [["id", "name", "price"], *([str(n), f"name {n}", f"{n / 7:.2f}"] for n in range(1, 41))]
ORDERS_CSV = "".join(",".join(row) + "\n" for row in ORDERS)


def preview(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["preview", *map(str, arguments)])


def rows_of(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.stderr
    return list(csv.reader(io.StringIO(result.stdout, newline="")))


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def zipped(content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("orders.csv", content)
    return target.getvalue()


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("orders.csv", lambda content: content),
        ("orders.csv.gz", gzip.compress),
        ("orders.csv.bz2", bz2.compress),
        ("orders.csv.xz", lzma.compress),
        ("orders.zip", zipped),
        ("orders", gzip.compress),  # neither end tells what it is
    ],
)
def test_all_rows_of_a_packed_file_come_as_csv(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    path = put(tmp_path, name, pack(ORDERS_CSV.encode()))
    assert rows_of(preview(path, "--all", "--format", "csv")) == ORDERS


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_every_encoding_becomes_utf_8(tmp_path: Path, encoding: str) -> None:
    text = "id;name;Straße\n" + "".join(f"{n};Müller;Größe {n}\n" for n in range(30))
    rows = rows_of(preview(put(tmp_path, "a.csv", text.encode(encoding)), "--all", "--format", "csv"))
    assert rows[0] == ["id", "name", "Straße"]
    assert rows[30] == ["29", "Müller", "Größe 29"]


def test_a_messy_file_becomes_one_header_and_its_rows(tmp_path: Path) -> None:
    mess = "Export of 2026-01-01\r\n\r\nid;name;price\r\n" + "".join(
        f'{n};"name; ""{n}""";{n},50\r\n' for n in range(1, 20)
    )
    result = preview(put(tmp_path, "a.csv", mess), "--all", "--format", "csv")
    rows = rows_of(result)
    assert rows[0] == ["id", "name", "price"]
    assert rows[19] == ["19", 'name; "19"', "19,50"]
    assert len(rows) == 20
    assert "\r" not in result.stdout


def test_without_all_the_first_rows_come_as_a_table_and_what_it_is_on_the_other_stream(tmp_path: Path) -> None:
    result = preview(put(tmp_path, "orders.csv", ORDERS_CSV))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["id", "name", "price"]
    assert len(lines) == 2 + 20
    assert result.stderr.startswith("orders.csv: csv, delimiter ','")
    assert "certainty" in result.stderr


def test_the_number_of_rows_can_be_told(tmp_path: Path) -> None:
    path = put(tmp_path, "orders.csv", ORDERS_CSV)
    assert rows_of(preview(path, "--rows", 3, "--format", "csv")) == ORDERS[:4]
    assert len(preview(path, "--rows", 39, "--format", "json").stdout.splitlines()) == 39
    assert preview(path, "--rows", 0).exit_code == 2
    assert preview(path, "--rows", 3, "--all").exit_code == 2


def test_json_lines_keep_the_spelling_of_every_value(tmp_path: Path) -> None:
    path = put(tmp_path, "orders.csv", "code,amount\n007,1.50\n008,2.00\n009,12345678901234567890\n")
    found = [json.loads(line) for line in preview(path, "--format", "json").stdout.splitlines()]
    assert found[0] == {"code": "007", "amount": "1.50"}
    assert found[2]["amount"] == "12345678901234567890"


def test_nested_records_stay_nested_in_json_and_become_json_texts_in_csv(tmp_path: Path) -> None:
    lines = ['{"id": 1, "price": 1.50, "tags": ["a", "b"]}', '{"id": 2, "user": {"name": "x\\ny"}, "price": null}']
    path = put(tmp_path, "posts.json", "\n".join(lines) + "\n")
    found = preview(path, "--all", "--format", "json").stdout
    assert "1.50" in found
    assert [json.loads(line) for line in found.splitlines()] == [json.loads(line) for line in lines]
    rows = rows_of(preview(path, "--all", "--format", "csv"))
    assert rows[0] == ["id", "price", "tags", "user"]
    assert rows[1][:2] == ["1", "1.50"]
    assert json.loads(rows[1][2]) == ["a", "b"]
    assert rows[2][1] == ""
    assert json.loads(rows[2][3]) == {"name": "x\ny"}


def test_a_field_that_comes_late_has_its_column_in_the_complete_csv(tmp_path: Path) -> None:
    lines = [json.dumps({"id": n} | ({"late": "x"} if n == 30_000 else {})) for n in range(1, 30_001)]
    rows = rows_of(preview(put(tmp_path, "posts.jsonl", "\n".join(lines)), "--all", "--format", "csv"))
    assert rows[0] == ["id", "late"]
    assert rows[1] == ["1", ""]
    assert rows[30_000] == ["30000", "x"]
    assert len(rows) == 30_001


def test_typed_values_are_those_of_their_columns(tmp_path: Path) -> None:
    text = "id;price;when;ok\n" + "".join(f"{n};1.{n:03},5;{n:02}.01.2026;yes\n" for n in range(1, 29))
    path = put(tmp_path, "a.csv", text + "29;n/a;29.01.2026;no\n")
    found = [json.loads(line) for line in preview(path, "--all", "--format", "json", "--typed").stdout.splitlines()]
    assert found[0] == {"id": 1, "price": 1001.5, "when": "2026-01-01", "ok": True}
    assert found[28]["ok"] is False
    assert rows_of(preview(path, "--format", "csv", "--typed", "--rows", 1))[1] == ["1", "1001.5", "2026-01-01", "true"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.csv", b"", "empty"),
        ("blank.csv", b"\n\n  \n", ""),
        ("noise.bin", random.Random(7).randbytes(20_000), "unknown"),
        ("noise.csv.gz", random.Random(7).randbytes(20_000), ""),
        ("nothing.csv.gz", gzip.compress(b""), ""),
        ("zeros.dat", bytes(10_000), ""),
        ("one.json", b"{", ""),
        ("planes.xml", b'<?xml version="1.0" encoding="ISO-1"?><r><i a="1"/><i a="2"/></r>', "encoding"),
        ("deep.jsonl", b'{"a":' * 10_000 + b"1" + b"}" * 10_000, ""),
    ],
)
def test_what_cannot_be_read_says_why_and_ends_with_one(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    result = preview(put(tmp_path, name, content))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert name in result.stderr
    assert reason in result.stderr
    assert "Traceback" not in result.stderr


def test_what_is_not_there_says_so(tmp_path: Path) -> None:
    assert "does not exist" in preview(tmp_path / "no.csv").stderr
    (tmp_path / "folder").mkdir()
    assert preview(tmp_path / "folder").exit_code == 1


def test_rows_before_a_file_breaks_off_are_shown(tmp_path: Path) -> None:
    whole = "id,text\n" + "".join(f"{n},{random.Random(n).random()}\n" for n in range(200_000))
    path = put(tmp_path, "orders.csv.gz", gzip.compress(whole.encode())[:-100_000])
    result = preview(path, "--all", "--format", "csv")
    assert result.exit_code == 1
    assert "Error: " in result.stderr
    assert result.stdout.startswith("id,text\n0,")
    assert len(result.stdout.splitlines()) > 50_000
    assert preview(path).exit_code == 0


def test_a_folder_is_read_as_one_table_and_strangers_are_named(tmp_path: Path) -> None:
    put(tmp_path, "in/_SUCCESS", "")
    put(tmp_path, "in/1.csv", "id,name,price\n" + "".join(f"{n},a,{n}.5\n" for n in range(5)))
    put(tmp_path, "in/2.csv", "price,id,name\n" + "".join(f"{n}.5,{n},b\n" for n in range(5)))
    put(tmp_path, "in/3.csv", "city,country\n" + "".join(f"Berlin {n},DE\n" for n in range(5)))
    put(tmp_path, "in/4.bin", random.Random(1).randbytes(9_000))
    result = preview(tmp_path / "in", "--all", "--format", "csv")
    assert [row[1] for row in csv.reader(io.StringIO(result.stdout))] == ["name", *"aaaaabbbbb"]
    assert "3.csv: left out" in result.stderr
    assert "4.bin" in result.stderr
    assert result.exit_code == 1  # a part of all rows may be missing
    assert preview(tmp_path / "in", "--rows", 7, "--format", "csv").exit_code == 0


def test_surplus_values_have_columns_of_their_own_and_empty_ones_none(tmp_path: Path) -> None:
    lines = [f"{n};word {n};x{n}" for n in range(30)]
    lines[7] += ";;;"
    assert rows_of(preview(put(tmp_path, "a.csv", "a;b;c\n" + "\n".join(lines)), "--all", "--format", "csv"))[0] == [
        "a",
        "b",
        "c",
    ]
    lines[9] = "9;word;9;x9;y9"
    rows = rows_of(preview(put(tmp_path, "b.csv", "a;b;c\n" + "\n".join(lines)), "--all", "--format", "csv"))
    assert len({len(row) for row in rows}) == 1
    assert [value for value in rows[10] if value] == ["9", "word", "9", "x9", "y9"]


def test_a_grok_pattern_can_be_tried_on_the_spot(tmp_path: Path) -> None:
    lines = [f"2026-01-{n:02} WARN disk{n} is {n}% full" for n in range(1, 20)]
    path = put(tmp_path, "disk.log", "\n".join(lines) + "\n")
    pattern = "%{YEAR:year}-%{MONTHNUM:month}-%{MONTHDAY:day} %{LOGLEVEL:level} %{WORD:disk} is %{INT:percent}% full"
    rows = rows_of(preview(path, "--all", "--format", "csv", "--classifier", pattern))
    assert rows[0] == ["year", "month", "day", "level", "disk", "percent"]
    assert rows[19] == ["2026", "01", "19", "WARN", "disk19", "19"]


def test_a_pattern_that_few_lines_match_is_tried_all_the_same(tmp_path: Path) -> None:
    path = put(tmp_path, "disk.log", "disk1 is 91% full\njunk, junk\njunk, junk\n")
    result = preview(path, "--format", "csv", "--classifier", "%{WORD:disk} is %{INT:percent}% full")
    assert rows_of(result) == [["disk", "percent"], ["disk1", "91"]]
    assert "left out 2 broken records: line 2 does not match the pattern" in result.stderr


def test_a_classifier_that_does_not_match_is_told(tmp_path: Path) -> None:
    result = preview(put(tmp_path, "orders.csv", ORDERS_CSV), "--classifier", "%{IP:client} %{WORD:verb}")
    assert result.exit_code == 0
    assert "was not used" in result.stderr


def datalake(*arguments: object) -> list[str]:
    code = "import sys; from datalake_assets.cli import main; main(sys.argv[1:])"
    return [sys.executable, "-c", code, *map(str, arguments)]


def test_whoever_stops_reading_ends_it_quietly(tmp_path: Path) -> None:
    path = put(tmp_path, "orders.csv", ORDERS_CSV + "".join(f"{n},name,1.00\n" for n in range(200_000)))
    with subprocess.Popen(
        datalake("preview", path, "--all", "--format", "csv"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"id,name,price\n"
        process.stdout.close()
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == b""


HEAVY = ("pyarrow", "pandas", "numpy", "boto3", "duckdb", "dagster", "rich", "fastavro", "polars", "pyspark")


def test_a_small_csv_file_needs_none_of_the_heavy_libraries(tmp_path: Path) -> None:
    path = put(tmp_path, "orders.csv", ORDERS_CSV)
    code = (
        "import sys; from datalake_assets.cli import main; main(sys.argv[1:], standalone_mode=False); "
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    for shape in ("csv", "table", "json"):
        done = subprocess.run(
            [sys.executable, "-c", code, "preview", str(path), "--format", shape], capture_output=True, text=True
        )
        assert done.stderr.splitlines()[-1] == "[]", done.stderr


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = put(tmp_path, "orders.csv", ORDERS_CSV + "41,some name or other,1.00\n" * 1_000_000)
    # Of the process itself: what getrusage tells begins with the peak of the process that started it.
    code = (
        "import sys; from datalake_assets.cli import main; main(sys.argv[1:], standalone_mode=False); "
        "sys.stderr.write(open('/proc/self/status').read())"
    )
    with open(os.devnull, "w") as nowhere:
        done = subprocess.run(
            [sys.executable, "-c", code, "preview", str(path), "--all", "--format", "csv"],
            stdout=nowhere,
            stderr=subprocess.PIPE,
            text=True,
        )
    (peak_kb,) = (int(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("VmHWM:"))
    assert peak_kb < 100_000  # a list of all rows would take 300 MB


def test_a_link_that_leads_nowhere_does_not_spoil_its_neighbours(tmp_path: Path) -> None:
    put(tmp_path, "orders.csv", ORDERS_CSV)
    (tmp_path / "a.csv").symlink_to(tmp_path / "gone.csv")
    result = preview(tmp_path, "--format", "csv", "--rows", "2")
    assert rows_of(result) == ORDERS[:3]
    assert "a.csv: it does not exist" in result.stderr
    assert preview(tmp_path, "--all", "--format", "csv").exit_code == 1


def test_what_packs_a_file_is_told(tmp_path: Path) -> None:
    assert "utf-8, gzip;" in preview(put(tmp_path, "o.csv.gz", gzip.compress(ORDERS_CSV.encode()))).stderr
    assert "utf-8, not compressed;" in preview(put(tmp_path, "o.csv", ORDERS_CSV)).stderr
