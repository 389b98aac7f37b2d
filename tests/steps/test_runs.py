"""Pipelines of steps as they run: launched, resumed, cancelled and killed through Dagster's own API and processes."""

import os
import signal
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget

from tests.steps.world import LOCATION, World, environment, is_alive, until, write_pipeline

# Runs start at once: there is no daemon that would take them from a queue.
INSTANCE = """
telemetry: {enabled: false}
run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}
"""
DAYS = '  partitions: {daily: "2026-01-01"}\n'


def note(what: str, file: str) -> str:
    return f'echo "{what} $DATALAKE_RUN_ID" >> {file}'


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    (folder / "home").mkdir()
    (folder / "home" / "dagster.yaml").write_text(INSTANCE, encoding="utf-8")
    locations = folder / "locations"
    write_pipeline(
        locations,
        "resumed",
        f"    - {{name: extract, shell: '{note('extract', folder / 'resumed')}'}}\n"
        "    - {name: change, python: 'change.py:change'}\n"
        f"    - {{name: load, shell: '{note('load', folder / 'resumed')}'}}\n",
        more=DAYS,
        change=f"""
import os, pathlib, sys
def change(partition):
    if not pathlib.Path({str(folder / "mended")!r}).exists():
        sys.exit("the source is broken")
    with open({str(folder / "resumed")!r}, "a") as file:
        print("change", os.environ["DATALAKE_RUN_ID"], file=file)
""",
    )
    write_pipeline(
        locations,
        "endless",
        "    - name: wait\n      shell: |\n"
        "        trap '' TERM\n"
        f"        sleep 1000 & echo $! > {folder}/child; echo $$ > {folder}/new; mv {folder}/new {folder}/shell\n"
        "        wait\n        sleep 1000\n",
    )
    meet = f"touch {folder}/$DATALAKE_STEP; until [ -e {folder}/%s ]; do sleep 0.05; done"
    write_pipeline(
        locations,
        "branches",
        "    - {name: begin, shell: 'true'}\n"
        f"    - {{name: left, shell: '{meet % 'right'}', needs: begin, timeout: 50s}}\n"
        f"    - {{name: right, shell: '{meet % 'left'}', needs: begin, timeout: 50s}}\n"
        f"    - {{name: finish, shell: '{note('finish', folder / 'branches')}', needs: [left, right]}}\n",
    )
    write_pipeline(
        locations,
        "endless_branches",
        f"    - {{name: one, shell: 'echo $$ > {folder}/one.new; mv {folder}/one.new {folder}/one; sleep 1000'}}\n"
        "    - {name: two, shell: 'sleep 1000', needs: []}\n",
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(folder).items():
            patch.setenv(name, value)
        target = ModuleTarget("datalake_assets.definitions", LOCATION, working_directory=None, location_name=LOCATION)
        with (
            dg.DagsterInstance.from_config(str(folder / "home")) as instance,
            WorkspaceProcessContext(instance, target) as workspace,
        ):
            yield World(instance, workspace, folder)


def test_a_run_is_resumed_after_the_last_step_that_succeeded(world: World) -> None:
    first = world.launch("resumed", dagster__partition="2026-01-02")
    assert world.ended(first) == "FAILURE"
    (failed,) = world.events(first, dg.DagsterEventType.STEP_FAILURE)
    assert failed.step_key == "steps_resumed.change"
    assert "the source is broken" in world.log(first)
    assert world.noted("resumed") == [f"extract {first}"]

    (world.folder / "mended").touch()
    second = world.resume(first)
    assert world.ended(second) == "SUCCESS"
    assert world.noted("resumed") == [f"extract {first}", f"change {second}", f"load {second}"]
    (made,) = world.events(second, dg.DagsterEventType.ASSET_MATERIALIZATION)
    assert made.asset_key == dg.AssetKey([LOCATION, "steps", "resumed"])
    assert made.partition == "2026-01-02"


def started(world: World, file: str) -> int:
    return int(until(lambda: world.noted(file), f"the step to write {file}")[0])


def test_a_cancelled_run_leaves_no_process_even_if_the_step_ignores_it(world: World) -> None:
    run_id = world.launch("endless")
    shell = started(world, "shell")
    child = int(world.noted("child")[0])
    world.terminate(run_id)
    assert world.ended(run_id) == "CANCELED"
    until(lambda: not is_alive(shell) and not is_alive(child), "the end of the step's processes")
    (world.folder / "shell").unlink()


def worker_of(world: World, run_id: str) -> int:
    (event,) = [
        event
        for event in world.events(run_id, dg.DagsterEventType.ENGINE_EVENT)
        if event.message and "pid: " in event.message and event.message.startswith("Executing steps")
    ]
    assert event.message
    return int(event.message.rpartition("pid: ")[2].rstrip(")."))


@pytest.mark.slow
@pytest.mark.parametrize(("job", "file"), [("endless", "shell"), ("endless_branches", "one")])
def test_the_steps_of_a_killed_run_end_with_it(world: World, job: str, file: str) -> None:
    run_id = world.launch(job)
    shell = started(world, file)
    os.kill(worker_of(world, run_id), signal.SIGKILL)
    until(lambda: not is_alive(shell), "the end of the step's process")
    (world.folder / file).unlink()


@pytest.mark.slow
def test_steps_without_an_order_run_at_the_same_time(world: World) -> None:
    run_id = world.launch("branches")
    assert world.ended(run_id) == "SUCCESS", world.log(run_id)[-3000:]
    assert world.noted("branches") == [f"finish {run_id}"]


@pytest.mark.slow
def test_a_cancelled_run_of_branches_ends_all_of_them(world: World) -> None:
    run_id = world.launch("endless_branches")
    shell = started(world, "one")
    world.terminate(run_id)
    assert world.ended(run_id) == "CANCELED"
    until(lambda: not is_alive(shell), "the end of the step's process")
