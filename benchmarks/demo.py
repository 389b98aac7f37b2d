"""The whole way, timed: `datalake demo` from an empty folder to the last dbt model, process start included."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._report import goal, print_report

GOAL_TOTAL_SECONDS = 90.0
GOAL_START_SECONDS = 30.0


def main() -> None:
    """Run the demo and report its own figures with the wall time around it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one day of files instead of seven")
    days = 1 if parser.parse_args().quick else 7
    with tempfile.TemporaryDirectory() as folder:
        report_file = Path(folder) / "report.json"
        datalake = Path(sys.executable).parent / "datalake"
        begin = time.perf_counter()
        command = [str(datalake), "demo", "--days", str(days)]
        command += ["--state", str(Path(folder) / "state"), "--json", str(report_file)]
        subprocess.run(command, check=True)
        wall = time.perf_counter() - begin
        report = json.loads(report_file.read_text(encoding="utf-8"))
    figures = {"days": days, "wall_seconds": round(wall, 1)} | {
        name: report[name] for name in ("files", "rows_in", "redshift_rows", "runs", "seconds")
    }
    goals = {
        "demo, s": goal(wall, GOAL_TOTAL_SECONDS),
        "start-up, s": goal(report["seconds"]["start"], GOAL_START_SECONDS),
    }
    print_report("demo", figures, goals)


if __name__ == "__main__":
    main()
