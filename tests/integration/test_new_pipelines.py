"""What `datalake new` writes runs in the sandbox as it is, in a tree of its own, and `datalake rerun` runs it again."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from datalake_assets import project
from datalake_assets.accounts.registry import load_registry
from datalake_assets.cli import dagster_processes, main
from datalake_assets.cli.dagster_processes import CodeLocation, DagsterProcesses
from datalake_assets.cli.webserver import GOING, Run, Webserver
from datalake_assets.sandbox.inbox import hook_url
from datalake_assets.sandbox.provision import provision, warm_session
from datalake_assets.sandbox.sandbox import Sandbox
from datalake_assets.sandbox.supervisor import Supervisor
from tests.components.authoring.test_pipeline import own_tests
from tests.conftest import forget_accounts

pytestmark = pytest.mark.xdist_group("accounts")  # other buckets than those of the flights account

DEADLINE_SECONDS = 120.0
COMMANDS = """
import json, sys
from datalake_assets.cli import main
for command in json.loads(sys.argv[1]):
    main(command, standalone_mode=False)
"""
RUN_ALL = """
import json, sys
import dagster as dg
from datalake_assets import definitions, query
from datalake_assets.accounts.sessions import session
from pathlib import Path

day, folder, visits = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
account = session("shop").account
s3 = session("shop").client("s3")
s3.upload_file(str(folder / "orders" / "sample.csv"), account.raw_bucket, f"orders/dt={day}/sample.csv")
s3.upload_file(str(visits), account.raw_bucket, f"visits/{visits.name}")
with dg.DagsterInstance.ephemeral() as instance:
    for job, partition in (("orders", day), ("visits", None), ("counts", day), ("days", day)):
        result = definitions.shop.resolve_job_def(job).execute_in_process(instance=instance, partition_key=partition)
        assert result.success, job
found = {}
for table in ("orders", "visits", "counts"):
    found[table] = query(f"SELECT * FROM shop.{table}").arrow().to_pylist()
print(json.dumps(found, default=str))
"""


@dataclass(frozen=True)
class Tree:
    """A registry, a workspace and locations that nobody else has, and the environment that leads to them."""

    folder: Path
    environment: dict[str, str]
    day: str
    visits: Path

    @property
    def shop(self) -> Path:
        return self.folder / "locations" / "shop"

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def tree(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """From nothing: an account and a pipeline of each kind, in a sandbox that knows the account."""
    folder = tmp_path_factory.mktemp("tree")
    (folder / "locations").mkdir()
    shutil.copyfile(project.REGISTRY, folder / "registry.yaml")
    (folder / "workspace.yaml").write_text("load_from:\n", encoding="utf-8")
    visits = folder / "visits.csv"
    visits.write_text("Visit ID;Ort;am\n" + "".join(f"{n};Bonn;{n:02}.02.2026\n" for n in range(1, 10)))
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **sandbox.environment(),
        "DATALAKE_LOCATIONS": str(folder / "locations"),
        "DATALAKE_REGISTRY": str(folder / "registry.yaml"),
        "DATALAKE_WORKSPACE": str(folder / "workspace.yaml"),
        "PYTHONWARNINGS": "ignore",
    }
    commands = [
        ["new", "account", "shop"],
        ["new", "pipeline", "shop/orders"],
        ["new", "pipeline", "shop/visits", "--from", "crawl", str(visits)],
        ["new", "pipeline", "shop/counts", "--from", "sql", "--reads", "shop/orders"],
        ["new", "pipeline", "shop/days", "--from", "steps"],
        ["validate"],
    ]
    written = Tree(folder, environment, "", visits)
    done = written.call("-c", COMMANDS, json.dumps(commands))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 pipelines are valid" in done.stdout
    (upload,) = [line for line in done.stderr.splitlines() if "dt=" in line]
    day = upload.partition("dt=")[2].partition("/")[0]
    registry = load_registry(folder / "registry.yaml")
    inbox = hook_url(sandbox.ports["inbox"])
    provision(registry, sandbox.environment(), sandbox._warehouse_secret(), inbox, warm_session())
    return Tree(folder, environment, day, visits)


def test_each_kind_runs_as_it_was_written(tree: Tree) -> None:
    done = tree.call("-c", RUN_ALL, tree.day, str(tree.shop), str(tree.visits))
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert [row["amount_eur"] for row in found["orders"]] == ["19.90", "5.00", "0.50"]
    assert [row["ort"] for row in found["visits"]] == ["Bonn"] * 9
    assert [(row["table_name"], row["row_count"]) for row in found["counts"]] == [("shop.orders", 3)]


def test_the_tests_that_came_with_them_pass(tree: Tree) -> None:
    done = own_tests(tree.shop, tree.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 passed" in done.stdout


def test_a_location_loads_with_tests_and_samples_beside_the_declarations(tree: Tree) -> None:
    code = (
        "import sys; from datalake_assets import definitions; "
        "repository = definitions.shop.get_repository_def(); repository.load_all_definitions(); "
        "assert {'orders', 'visits', 'counts', 'days'} <= set(repository.job_names); "
        "assert not [name for name in sys.modules if 'test_shop' in name]"
    )
    done = tree.call("-c", code)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def dagster(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webserver]:
    """Dagster's real processes for the one location."""
    home = tmp_path_factory.mktemp("state") / "dagster"
    with pytest.MonkeyPatch.context() as patch, Supervisor() as supervisor:
        shop = CodeLocation("shop", "datalake_assets.definitions", "shop")
        patch.setattr(dagster_processes, "read_workspace", lambda: [shop])
        processes = DagsterProcesses(supervisor, home, tree.environment)
        processes.start_code_servers()
        processes.start_services()
        yield Webserver(processes.url)


Rerun = Callable[..., Result]


@pytest.fixture
def rerun(dagster: Webserver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rerun]:
    """The command as a person calls it, with the webserver of the tree."""

    def call(*arguments: str, url: str = dagster.url) -> Result:
        monkeypatch.setenv("DATALAKE_UI_URL", url)
        forget_accounts()
        result = CliRunner().invoke(main, ["rerun", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    yield call
    monkeypatch.undo()
    forget_accounts()


def ended(dagster: Webserver, run_id: str) -> Run:
    """The run when it is over."""
    return _until(dagster, lambda run: run.run_id == run_id and run.status not in GOING)


def retry_of(dagster: Webserver, run_id: str) -> Run:
    """The run that Dagster itself has started after another one, when it is over."""
    return _until(dagster, lambda run: run.tags.get("dagster/parent_run_id") == run_id and run.status not in GOING)


def _until(dagster: Webserver, is_meant: Callable[[Run], bool]) -> Run:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        for run in dagster.runs("shop", "days"):
            if is_meant(run):
                return run
        time.sleep(0.2)
    raise AssertionError("the run has not ended")


def started(result: Result) -> str:
    """The id of the run that the command has started."""
    assert result.exit_code == 0, result.output
    return result.stdout.split("/runs/")[1].split()[0]


def test_a_run_that_is_asked_for_says_who_asked_and_is_not_resumed_after_success(
    tree: Tree, dagster: Webserver, rerun: Rerun
) -> None:
    run_id = started(rerun("shop/days", tree.day))
    done = ended(dagster, run_id)
    assert (done.status, done.tags["datalake/pipeline"]) == ("SUCCESS", "shop/days")
    assert "rerun by" in done.tags["datalake/reason"]
    refused = rerun("shop/days", tree.day, "--from-failure")
    assert refused.exit_code == 1
    assert "succeeded" in refused.stderr


@pytest.mark.slow
def test_a_failed_run_is_resumed_where_it_failed(tree: Tree, dagster: Webserver, rerun: Rerun) -> None:
    work = tree.shop / "days" / "shop_days.py"
    whole = work.read_text()
    work.write_text("def tell_weekday(partition: str) -> None:\n    raise ValueError(partition)\n")
    first = started(rerun("shop/days", tree.day))
    assert ended(dagster, first).status == "FAILURE"
    retried = retry_of(dagster, first)  # as `retries: 1` says
    assert retried.status == "FAILURE"
    assert steps_of(dagster, retried) == {"tell_weekday"}

    work.write_text(whole)
    again = started(rerun("shop/days", tree.day, "--from-failure"))
    resumed = ended(dagster, again)
    assert resumed.status == "SUCCESS"
    assert resumed.tags["dagster/parent_run_id"] == retried.run_id
    assert steps_of(dagster, resumed) == {"tell_weekday"}


def steps_of(dagster: Webserver, run: Run) -> set[str]:
    """The steps that a run itself has worked on."""
    found = dagster.query(
        "query Steps($id: ID!) { runOrError(runId: $id) { ... on Run { stepStats { stepKey } } } }", {"id": run.run_id}
    )
    return {each["stepKey"].rpartition(".")[2] for each in found["runOrError"]["stepStats"]}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["shop/dais", "2026-01-01"], "Did you mean days"),
        (["shopp/days"], "Did you mean shop"),
        (["shop/days"], "no partition is named"),
        (["shop/days", "2026-13-01"], "has no partition '2026-13-01'"),
        (["shop/visits", "2026-01-01"], "has no partitions"),
        (["days"], "ACCOUNT/NAME"),
        (["shop/days", "2026-01-02", "--from-failure"], "has never run"),
    ],
)
def test_what_is_not_there_is_told_in_a_line(rerun: Rerun, arguments: list[str], told: str) -> None:
    result = rerun(*arguments)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert told in line


def test_without_a_webserver_it_says_where_one_was_looked_for(rerun: Rerun) -> None:
    result = rerun("shop/days", "2026-01-01", url="http://127.0.0.1:9")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "http://127.0.0.1:9" in line
    assert "datalake dev" in line
