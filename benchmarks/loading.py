"""How long a process takes to load a code location, beside a bare `import dagster`.

Every code server and every run pays this once. The ratio holds on any machine; the seconds are of this one.
"""

import argparse
import statistics
import subprocess
import sys
import time

from benchmarks._report import goal, print_report

LOCATIONS = ("flights", "analytics", "content", "operations")
GOAL_SECONDS = 2.5


def seconds_of(code: str, repeats: int) -> float:
    """Median wall time of a fresh interpreter that runs `code`."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three repeats instead of seven")
    repeats = 3 if parser.parse_args().quick else 7
    seconds_of("import dagster", 1)  # compiled modules and a warm disk cache for all
    bare = seconds_of("import dagster", repeats)
    found = {
        name: seconds_of(f"from datalake_assets import definitions; definitions.{name}", repeats) for name in LOCATIONS
    }
    figures = {
        "bare_dagster_seconds": round(bare, 3),
        "seconds": {name: round(value, 3) for name, value in found.items()},
        "ratio_to_bare_dagster": {name: round(value / bare, 2) for name, value in found.items()},
    }
    print_report("loading", figures, {f"load {name}, s": goal(value, GOAL_SECONDS) for name, value in found.items()})


if __name__ == "__main__":
    main()
