"""`datalake query` as a person calls it."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from datalake_assets.cli import main
from tests.explore.conftest import DAYS, ROWS_PER_DAY

pytestmark = pytest.mark.usefixtures("published_lake")
DATALAKE = str(Path(sys.executable).parent / "datalake")
DAY = "SELECT * FROM flights.weather WHERE dt = '2013-02-20' ORDER BY hour"


def run(*arguments: str, answer: str | None = None) -> Result:
    result = CliRunner().invoke(main, ["query", *arguments], input=answer)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_rows_are_shown_as_a_table_for_people() -> None:
    lines = run("SELECT carrier, tags, place FROM flights.airlines ORDER BY 1").stdout.splitlines()
    assert lines[0].split() == ["carrier", "tags", "place"]
    assert lines[1].split(maxsplit=1)[0] == "AA"
    assert '["old", "big"]' in lines[1]
    assert lines[2].split() == ["B6", "[]", "NULL"]


def test_a_long_table_ends_and_says_so() -> None:
    result = run("SELECT hour FROM flights.weather", "--rows", "7")
    assert len(result.stdout.splitlines()) == 8
    assert "only the first 7 rows" in result.stderr


def test_csv_tells_nulls_from_empty_texts_and_writes_nested_values_as_json() -> None:
    result = run("SELECT carrier, tags, NULL::varchar AS nothing, '' AS empty FROM flights.airlines ORDER BY 1",
                 "--format", "csv")  # fmt: skip
    assert result.stdout.splitlines()[1].endswith(',,""')
    first, *_ = csv.DictReader(result.stdout.splitlines())
    assert json.loads(first["tags"]) == ["old", "big"]


def test_json_is_one_object_for_each_row() -> None:
    first, *rest = (json.loads(line) for line in run(DAY, "--format", "json").stdout.splitlines())
    assert len(rest) == ROWS_PER_DAY - 1
    assert (first["airport"], first["temp"], first["dt"]) == ("JFK", "31.0", "2013-02-20")


def test_a_file_is_written_in_the_format_of_its_name(tmp_path: Path) -> None:
    result = run(DAY, "--output", str(tmp_path / "day.parquet"))
    assert result.stdout == ""
    assert "5 rows" in result.stderr
    table = pq.read_table(tmp_path / "day.parquet")
    assert table.schema.field("temp").type == pa.decimal128(6, 1)
    assert table.num_rows == ROWS_PER_DAY
    run(DAY, "--output", str(tmp_path / "day.csv"))
    assert len((tmp_path / "day.csv").read_text().splitlines()) == ROWS_PER_DAY + 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["day.csv", "day.parquet"]


def test_a_query_that_fails_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "kept.csv"
    target.write_text("old")
    sql = "SELECT CASE WHEN dt = '2013-02-28' THEN error('broken') ELSE 1 END FROM flights.weather"
    assert run(sql, "--output", str(target)).exit_code == 1
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["kept.csv"]
    nowhere = run(DAY, "--output", str(tmp_path / "no" / "such.csv"))
    assert nowhere.exit_code == 1
    assert "cannot be written" in nowhere.stderr


def test_explain_shows_partitions_files_bytes_columns_and_the_plan() -> None:
    told = run("SELECT sum(hour) FROM flights.weather WHERE dt >= '2013-02-27'", "--explain").stdout
    assert f"partitions  2 of {DAYS}" in told
    assert "files       4" in told
    assert "columns     hour" in told
    assert "Scan" in told
    as_json = json.loads(run(DAY, "--explain", "--format", "json").stdout)
    assert as_json["tables"][0]["partitions_read"] == 1


def test_a_statement_can_come_from_stdin() -> None:
    assert run("-", answer="SELECT 42 AS answer;\n").stdout.split() == ["answer", "42"]


def test_mistakes_end_with_a_line_and_no_traceback() -> None:
    result = run("SELECT * FROM flights.wether")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: there is no table 'wether'")
    assert "Traceback" not in result.stderr
    assert run("SELECT 1", "--engine", "redshift", "--workgroup", "x").exit_code == 2
    assert run("SELECT 1", "--engine", "postgres").exit_code == 2


def test_a_process_that_stops_reading_early_ends_quietly() -> None:
    """As a shell runs it: rows that nobody takes, and threads that were fetching when the reader left."""
    for arguments in (
        ["SELECT * FROM flights.weather", "--rows", "3"],
        ["SELECT * FROM flights.weather LIMIT 2", "--format", "json"],
        ["SELECT nothing FROM flights.weather"],
    ):
        done = subprocess.run([DATALAKE, "query", *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode in (0, 1), done.stderr
        assert "leaked" not in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.timeout(60)
def test_an_interrupt_ends_a_statement_that_would_run_for_hours() -> None:
    from datalake_assets.explore.query import query

    def interrupt_the_query() -> None:
        while not any(thread.name.startswith("query") for thread in threading.enumerate()):
            begun.wait(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    begun = threading.Event()
    sender = threading.Thread(target=interrupt_the_query)
    sender.start()
    with (
        pytest.raises(KeyboardInterrupt),
        query("SELECT count(*) FROM range(10000000000) a, range(1000) b") as result,
    ):
        list(result.batches())
    sender.join()


def test_a_folder_that_is_not_there_is_told_by_its_own_name(tmp_path: Path) -> None:
    target = tmp_path / "gone" / "rows.csv"
    result = run("SELECT 1", "--output", str(target))
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{target}: the file cannot be written: No such file or directory" in result.stderr
