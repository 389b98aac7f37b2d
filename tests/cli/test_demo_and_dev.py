"""`datalake demo` and `datalake dev` as a person runs them: real daemon, real processes, nothing left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

DATALAKE = str(Path(sys.executable).parent / "datalake")
DEADLINE_SECONDS = 480.0


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    from datalake_assets.sandbox.state import StateFolder

    yield tmp_path / "state"
    StateFolder(tmp_path / "state").delete()  # PostgreSQL's data may lie elsewhere


def processes_of(state: Path) -> list[psutil.Process]:
    """Every process that was started for this state folder, by its arguments or its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            text = " ".join(process.cmdline()) + process.environ().get("DAGSTER_HOME", "")
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if str(state) in text and process.pid != os.getpid():
            found.append(process)
    return found


def wait_until(condition: Callable[[], bool], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in time"
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
@pytest.mark.timeout(DEADLINE_SECONDS + 60)
def test_the_demo_builds_everything_by_itself_and_leaves_no_process(state: Path, tmp_path: Path) -> None:
    report_file = tmp_path / "report.json"
    done = subprocess.run(
        [DATALAKE, "demo", "--days", "3", "--state", str(state), "--json", str(report_file)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    report = json.loads(report_file.read_text(encoding="utf-8"))
    # Three days of flights and weather, the corrections of the third day, three reference tables.
    assert (report["files"], report["partitions"], report["dbt_models"]) == (10, 9, 9)
    assert report["rows_quarantined"] == 6
    assert report["rows_in"] == report["rows_published"] + report["rows_quarantined"]
    assert report["redshift_rows"] == report["rows_published"]
    flights = next(row for row in report["tables"] if row["table"] == "lake.flights")
    assert flights["rows_in"] == 842 + 943 + 914 + 12
    assert report["query"]["rows"]
    study = report["case_study"]
    assert [(row["table"], row["partitions"]) for row in study["tables"]] == [
        ("core_data/listings", 2),
        ("search/searches", 2),
        ("rent_journey/pipeline_x", 2),
    ]
    metric = study["tables"][2]
    assert metric["rows_published"] == metric["redshift_rows"] == 2 * len(study["query"]["rows"]) == 16
    assert all(row["rows_quarantined"] > 0 and row["rows_duplicate"] > 0 for row in study["tables"][:2])
    # Five pipelines and the models: partitions share runs, and no file has a run of its own. Each day of the case study
    # is a run of each of its three pipelines.
    assert report["runs"] <= 12 + 6
    assert "Who kept New Yorkers waiting?" in done.stdout
    assert "Where are flats wanted most?" in done.stdout
    assert processes_of(state) == []


def test_dev_shows_the_ui_and_ends_everything_at_ctrl_c(state: Path, tmp_path: Path) -> None:
    port = free_port()
    log_file = tmp_path / "dev.log"
    with log_file.open("w") as log:
        dev = subprocess.Popen(
            [DATALAKE, "dev", "--no-sample", "--state", str(state), "--port", str(port)], stdout=log, stderr=log
        )
    try:
        wait_until(lambda: f"127.0.0.1:{port}" in log_file.read_text() or dev.poll() is not None, "the UI")
        assert dev.poll() is None, log_file.read_text()[-2000:]
        listening = {address for process in processes_of(state) for address in _listening_addresses(process)}
        assert listening <= {"127.0.0.1"}
        dev.send_signal(signal.SIGINT)
        assert dev.wait(60) == 0
    finally:
        dev.kill()
        dev.wait()
    assert "Stopped." in log_file.read_text()
    assert processes_of(state) == []


def test_nothing_survives_a_demo_that_was_killed(state: Path) -> None:
    demo = subprocess.Popen(
        [DATALAKE, "demo", "--days", "1", "--state", str(state)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: any("webserver" in " ".join(_cmdline(p)) for p in processes_of(state)), "the webserver")
    finally:
        demo.kill()
        demo.wait()
    wait_until(lambda: processes_of(state) == [], "the end of every process", 60)


def test_a_port_in_use_is_named_before_anything_starts(state: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [DATALAKE, "dev", "--state", str(state), "--port", str(port)], capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 1
    assert f"{port}" in done.stderr
    assert "Dagster UI" in done.stderr
    assert not state.exists()


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _listening_addresses(process: psutil.Process) -> set[str]:
    try:
        open_sockets = process.net_connections("inet")
    except psutil.Error:
        return set()
    # gRPC listens on the same address in its IPv6 spelling.
    return {c.laddr.ip.removeprefix("::ffff:") for c in open_sockets if c.status == psutil.CONN_LISTEN}
