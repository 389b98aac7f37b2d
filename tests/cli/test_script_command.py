"""`datalake script`: prints a program, and says what it cannot do."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from datalake_assets.cli import main
from datalake_assets.project import PROJECT_ROOT


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["script", *arguments])


@pytest.mark.parametrize("engine", ["duckdb", "spark", "glue"])
def test_a_program_is_printed_and_nothing_else(engine: str) -> None:
    result = run("flights/airlines", "--engine", engine)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    module = ast.parse(result.stdout)
    assert (ast.get_docstring(module) or "").startswith("Map the raw files of flights/airlines to Parquet")


def test_a_program_is_written_to_a_file(tmp_path: Path) -> None:
    result = run("flights/airlines", "--output", str(tmp_path / "program.py"))
    assert result.exit_code == 0
    assert result.stdout == ""
    assert ast.parse((tmp_path / "program.py").read_text())


def test_an_unknown_pipeline_is_told_with_the_nearest_name() -> None:
    result = run("flights/airline")
    assert result.exit_code == 1
    assert "Did you mean flights/airlines?" in result.stderr


def test_an_unknown_engine_is_wrong_use() -> None:
    result = run("flights/airlines", "--engine", "hadoop")
    assert result.exit_code == 2


def test_printing_a_program_for_spark_needs_no_spark() -> None:
    code = (
        "import sys\nsys.modules['pyspark'] = None\nfrom datalake_assets.cli import main\n"
        "main(['script', 'flights/airlines', '--engine', 'spark'], standalone_mode=False)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_the_example_of_the_documentation_works(tmp_path: Path) -> None:
    page = (PROJECT_ROOT / "docs" / "scripts.md").read_text(encoding="utf-8")
    printing, running = (line.strip() for line in page.splitlines()[2:4])
    folder = tmp_path / "raw" / "flights" / "dt=2013-01-02"
    folder.mkdir(parents=True)
    names = (
        "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,"
        "origin,dest,air_time,distance,hour,minute,time_hour"
    )
    row = "2013,1,2,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-02T05:00:00Z"
    import gzip

    (folder / "a.csv.gz").write_bytes(gzip.compress(f"{names}\n{row}\n".encode()))
    # The commands as they stand there, in this environment.
    commands = f"{printing}\n{running}\n"
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-e", "-c", commands],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "flights/flights: 1 file, 1 good rows, 0 set aside\n"
