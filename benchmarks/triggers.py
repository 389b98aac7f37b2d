"""Triggers at scale: 700 daily pipelines in ten locations, a third of them waiting for pipelines of other locations.

    python -m benchmarks.triggers [--quick] [--conditions]

The daemon, the code servers and PostgreSQL are real, the log has a history; only the runs take no time. Latency is
from the moment the last parent was reported to the creation of the child's run. `--conditions` measures Dagster's
declarative automation on the same graph beside it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks._report import goal, print_report
from benchmarks._triggers.topology import Pipeline, Topology, topology, write_tree

HISTORY = 450_000
LOAD_SECONDS = 60.0
IDLE_SECONDS = 60.0
OUTAGE_SECONDS = 300.0
DEADLINE_SECONDS = 300.0

GOAL_P95_SECONDS = 5.0
GOAL_IDLE_CPU = 20.0
GOAL_BUILD_SECONDS = 2.0

BUILD = """
import json, sys, time
import dagster
from datalake_assets import definitions
import datalake_assets.components
begin = time.perf_counter()
for name in sys.argv[1:]:
    getattr(definitions, name).get_repository_def().load_all_definitions()
print(json.dumps(time.perf_counter() - begin))
"""


def main() -> None:
    """Measure, and print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a shorter history, load and outage")
    parser.add_argument("--conditions", action="store_true", help="declarative automation beside the triggers")
    arguments = parser.parse_args()
    found = topology()
    figures: dict[str, Any] = {"pipelines": len(found.parents), "waiting": len(found.children)}
    with tempfile.TemporaryDirectory(prefix="datalake-triggers-") as folder:
        figures |= measure(found, Path(folder), quick=arguments.quick)
    if arguments.conditions:
        with tempfile.TemporaryDirectory(prefix="datalake-conditions-") as folder:
            figures["conditions"] = measure(found, Path(folder), quick=arguments.quick, conditions=True)
    goals = {
        "seconds from parent to child, p95": goal(figures["latency_seconds"]["p95"], GOAL_P95_SECONDS),
        "CPU seconds a minute, idle": goal(figures["idle_cpu_seconds_a_minute"]["all"], GOAL_IDLE_CPU),
        "seconds to build all definitions": goal(figures["build_seconds"], GOAL_BUILD_SECONDS),
        "lost runs after an outage": goal(figures["outage"]["lost"], 0),
        "doubled runs": goal(figures["outage"]["doubled"] + figures["doubled"], 0),
    }
    print_report("triggers", figures, goals)


def measure(found: Topology, folder: Path, *, quick: bool, conditions: bool = False) -> dict[str, Any]:
    """Build, idle, load and outage, one after the other on the same processes."""
    variables = write_tree(found, folder)
    clock = folder / "clock"
    clock.write_text("2026-01-05T12:00:00+00:00", encoding="utf-8")
    variables["DATALAKE_CLOCK_FILE"] = str(clock)
    os.environ.update(variables)
    # After the variables: they are read when the project is imported.
    from benchmarks._triggers.platform import running_platform

    figures: dict[str, Any] = {}
    if not conditions:
        figures["build_seconds"] = build_seconds(found)
    with running_platform(folder, variables) as platform:
        if conditions:
            platform.definitions = "benchmarks._triggers.conditions"
        driver = Driver(found, platform)
        driver.report(found.roots[:1], "2026-01-01")
        platform.fill_history(HISTORY // 10 if quick else HISTORY)
        figures["load_seconds"] = platform.start_code_servers(found.locations)
        platform.start_daemon()
        wait(platform, "the first ticks", lambda: driver.ticks() >= 2 * len(found.locations))
        idle_seconds = IDLE_SECONDS / 3 if quick else IDLE_SECONDS
        figures["idle_cpu_seconds_a_minute"] = driver.cpu_a_minute(lambda: time.sleep(idle_seconds))
        load_seconds = LOAD_SECONDS / 3 if quick else LOAD_SECONDS

        day = "2026-01-03" if conditions else "2026-01-02"  # conditions start nothing but the newest day

        def load() -> None:
            driver.report_over(found.roots, day, load_seconds)
            wait(platform, "the children of the load", lambda: len(driver.finished(day)) == len(found.parents))

        figures["loaded_cpu_seconds_a_minute"] = driver.cpu_a_minute(load)
        figures["published_after_seconds"] = driver.latency(driver.finished(day), day)
        figures["memory_mb"] = platform.memory_mb()
        if conditions:
            return figures
        figures["latency_seconds"] = driver.latency(dict(driver.runs(day)), day)
        platform.stop_daemon()
        driver.report(found.roots, "2026-01-03")
        time.sleep(OUTAGE_SECONDS / 20 if quick else OUTAGE_SECONDS)
        platform.start_daemon()
        begin = time.monotonic()
        wait(platform, "the children of the outage", lambda: len(driver.runs("2026-01-03")) >= len(found.children))
        recovered = time.monotonic() - begin
        time.sleep(15)  # for runs that should not come
        figures["outage"] = {"recovered_seconds": recovered, **driver.counted("2026-01-03")}
        figures["doubled"] = driver.counted("2026-01-02")["doubled"]
    return figures


def build_seconds(found: Topology) -> float:
    """Seconds to build the definitions of all locations in one process, without its imports."""
    command = [sys.executable, "-W", "ignore", "-c", BUILD, *found.locations]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return float(json.loads(done.stdout.splitlines()[-1]))


class Driver:
    """Reports parents, and reads what became of their children."""

    def __init__(self, found: Topology, platform: Any) -> None:
        import dagster as dg

        self._found, self._platform = found, platform
        self._instance = dg.DagsterInstance.from_config(str(platform.home))
        self._reported: dict[tuple[Pipeline, str], float] = {}

    def report(self, pipelines: list[Pipeline], day: str) -> None:
        """Tell Dagster that these have published a day."""
        import dagster as dg

        for each in pipelines:
            event = dg.AssetMaterialization([each.location, "steps", each.name], partition=day)
            self._instance.report_runless_asset_event(event)
            self._reported[each, day] = time.time()

    def report_over(self, pipelines: list[Pipeline], day: str, seconds: float) -> None:
        """The same, spread evenly over some time."""
        begin = time.monotonic()
        for number, each in enumerate(pipelines):
            time.sleep(max(0.0, begin + seconds * number / len(pipelines) - time.monotonic()))
            self.report([each], day)

    def runs(self, day: str) -> list[tuple[Pipeline, float]]:
        """The runs for a day and when they were created, in seconds of the epoch."""
        rows = self._platform.query(
            "SELECT p.value, extract(epoch FROM r.create_timestamp AT TIME ZONE 'UTC') FROM runs r "
            "JOIN run_tags p ON p.run_id = r.run_id AND p.key = 'datalake/pipeline' "
            "JOIN run_tags d ON d.run_id = r.run_id AND d.key = 'dagster/partition' AND d.value = %s",
            day,
        )
        return [(Pipeline(*name.split("/")), float(at)) for name, at in rows]

    def latency(self, ends: Mapping[Pipeline, float], day: str) -> dict[str, float]:
        """Seconds from the last parent's event to what became of each child."""
        finished = self.finished(day)
        seconds = [
            ends[child] - max(finished[parent] for parent in self._found.parents[child])
            for child in self._found.children
        ]
        cuts = statistics.quantiles(seconds, n=100)
        return {"p50": round(cuts[49], 2), "p95": round(cuts[94], 2), "max": round(max(seconds), 2)}

    def finished(self, day: str) -> dict[Pipeline, float]:
        """When each pipeline has published a day first."""
        rows = self._platform.query(
            "SELECT asset_key, extract(epoch FROM min(timestamp) AT TIME ZONE 'UTC') FROM event_logs "
            "WHERE dagster_event_type = 'ASSET_MATERIALIZATION' AND partition = %s GROUP BY asset_key",
            day,
        )
        found = {}
        for key, at in rows:
            location, _, name = json.loads(key)
            found[Pipeline(location, name)] = float(at)
        return found

    def counted(self, day: str) -> dict[str, int]:
        """How many children ran never, and how many runs came after a child's first."""
        runs = [child for child, _ in self.runs(day)]
        return {"lost": len(set(self._found.children) - set(runs)), "doubled": len(runs) - len(set(runs))}

    def ticks(self) -> int:
        """Ticks of all sensors so far."""
        [(number,)] = self._platform.query("SELECT count(*) FROM job_ticks")
        return int(number)

    def cpu_a_minute(self, work: Callable[[], None]) -> Mapping[str, float]:
        """CPU seconds a minute while something happens."""
        before, begin = self._platform.cpu_seconds(), time.monotonic()
        work()
        after, minutes = self._platform.cpu_seconds(), (time.monotonic() - begin) / 60
        found = {name: round((after[name] - before[name]) / minutes, 2) for name in before}
        return {**found, "all": round(sum(found.values()), 2)}


def wait(platform: Any, what: str, is_done: Callable[[], bool]) -> None:
    """Wait for something, at most `DEADLINE_SECONDS`."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not is_done():
        platform.supervisor.check()
        if time.monotonic() > deadline:
            logs = "\n".join(f"{each.name}: {each.log_tail()}" for each in platform.supervisor.children)
            raise SystemExit(
                f"{what} did not come within {DEADLINE_SECONDS:g} s; what the processes said last:\n{logs}"
            )
        time.sleep(0.5)


if __name__ == "__main__":
    main()
