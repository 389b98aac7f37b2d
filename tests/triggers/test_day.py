"""The case study's day through Dagster's real daemon, code servers and runs, by a clock that the test moves."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from datalake_assets.triggers.clock import CLOCK_VARIABLE
from datalake_assets.triggers.model import Parent
from tests.triggers.day_locations import FALLBACK, LISTINGS, SEARCHES, X, core_data

ROOT = Path(__file__).parents[2]
MODULE = "tests.triggers.day_locations"
D, NEXT = "2024-03-01", "2024-03-02"
DEADLINE_SECONDS = 150.0


class Day:
    """A daemon with the three locations, and their clock."""

    def __init__(self, home: Path, folder: Path) -> None:
        self._home, self._folder = home, folder
        self._clock = folder / "clock"
        workspace = [
            f"  - python_module: {{module_name: {MODULE}, attribute: {name}, location_name: {name}}}"
            for name in ("core_data", "search", "rent_journey")
        ]
        (home / "workspace.yaml").write_text("\n".join(["load_from:", *workspace]))
        self.instance = dg.DagsterInstance.from_config(str(home))
        self._daemon: subprocess.Popen[bytes] | None = None

    def start_daemon(self) -> None:
        environment = {**os.environ, "DAY_FOLDER": str(self._folder), CLOCK_VARIABLE: str(self._clock)}
        environment["PYTHONPATH"] = str(ROOT)
        command = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(self._home / "workspace.yaml")]
        with (self._home / "daemon.log").open("ab") as log:
            self._daemon = subprocess.Popen(
                command, cwd=self._home, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def kill_daemon(self) -> None:
        """As when its machine is lost, with its code servers."""
        if self._daemon is not None:
            os.killpg(self._daemon.pid, signal.SIGKILL)
            self._daemon.wait()
            self._daemon = None

    def is_at(self, moment: str) -> None:
        """Move the clock and wait until every sensor has seen it, and nothing works any more."""
        written = self._clock.with_suffix(".new")
        written.write_text(f"{moment}:00Z")
        written.replace(self._clock)
        self.come_to_rest()

    def come_to_rest(self) -> None:
        """Wait until a whole tick of each sensor that began after all runs had ended found nothing to start."""

        def is_quiet() -> bool:
            if any(not run.is_finished for run in self.instance.get_runs()):
                return False
            newest = self.instance.event_log_storage.get_maximum_record_id()
            told = [getattr(state.instigator_data, "cursor", None) for state in self.instance.all_instigator_state()]
            cursors = [json.loads(each) for each in told if each]
            seen = [each for each in cursors if json.loads(each["tail"])["top"] == newest and each["clock"] >= self.now]
            return len(seen) == 3

        self.wait_for(is_quiet, "all sensors to have seen everything")

    @property
    def now(self) -> float:
        import datetime as dt

        return dt.datetime.fromisoformat(self._clock.read_text().strip()).timestamp()

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert time.monotonic() < until, f"waited in vain for {what}: {self.outcomes()}\n{self._log()}"
            assert self._daemon is None or self._daemon.poll() is None, self._log()
            time.sleep(0.1)

    def break_pipeline(self, which: Parent) -> None:
        (self._folder / which.job).touch()

    def mend(self, which: Parent, partition: str) -> None:
        """A person repairs what was wrong, and runs the partition again."""
        (self._folder / which.job).unlink()
        assert (
            core_data.resolve_job_def(which.job)
            .execute_in_process(partition_key=partition, instance=self.instance, tags={"by": "a person"})
            .success
        )

    def outcomes(self) -> Counter[tuple[str, str, str]]:
        """How many runs of each pipeline and partition came to what."""
        runs = self.instance.get_runs()
        return Counter((run.job_name, run.tags.get("dagster/partition", ""), run.status.value) for run in runs)

    def close(self) -> None:
        if self._daemon is not None:
            # Gently, so that it takes its code servers along.
            self._daemon.send_signal(signal.SIGINT)
            try:
                self._daemon.wait(30)
            except subprocess.TimeoutExpired:
                self.kill_daemon()
        self.instance.dispose()

    def _log(self) -> str:
        return (self._home / "daemon.log").read_text()[-3000:]


@pytest.fixture
def day(dagster_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Day]:
    folder = tmp_path / "day"
    folder.mkdir()
    monkeypatch.setenv("DAY_FOLDER", str(folder))  # for the person's run
    made = Day(dagster_home, folder)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.timeout(900)
@pytest.mark.slow
def test_each_pipeline_of_the_case_study_runs_once_and_in_time(day: Day) -> None:
    day.break_pipeline(LISTINGS)
    (day._clock).write_text("2024-03-02T00:30:00Z")
    day.start_daemon()
    day.is_at("2024-03-02T02:59")
    assert day.outcomes() == {}

    day.is_at("2024-03-02T03:00")
    first = {(LISTINGS.job, D, "FAILURE"): 1, (FALLBACK.job, D, "SUCCESS"): 1}
    assert day.outcomes() == first
    day.is_at("2024-03-02T05:00")
    assert day.outcomes() == first | {(SEARCHES.job, D, "SUCCESS"): 1}

    # The repair comes while nobody looks.
    day.kill_daemon()
    day.mend(LISTINGS, D)
    day._clock.write_text("2024-03-02T07:00:00Z")
    day.start_daemon()
    day.come_to_rest()
    whole = first | {
        (SEARCHES.job, D, "SUCCESS"): 1,
        (LISTINGS.job, D, "SUCCESS"): 1,
        (X.job, D, "SUCCESS"): 1,
    }
    assert day.outcomes() == whole
    [run] = [each for each in day.instance.get_runs() if each.job_name == X.job]
    assert run.tags["datalake/reason"] == f"{LISTINGS.name} {D} succeeded, {SEARCHES.name} {D} succeeded"

    day.is_at("2024-03-03T03:00")
    day.is_at("2024-03-03T05:00")
    whole |= {(each.job, NEXT, "SUCCESS"): 1 for each in (LISTINGS, SEARCHES, X)}
    assert day.outcomes() == whole
