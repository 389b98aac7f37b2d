"""Each kind of step on the sandbox: what it can do, what it sees, and what its failure says."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from datalake_assets.accounts.registry import registry
from datalake_assets.accounts.secrets import warehouse_secret
from datalake_assets.accounts.sessions import session
from datalake_assets.components.declarations import read_all
from datalake_assets.components.steps_pipeline import build_steps_definitions
from datalake_assets.components.words.steps_spec import StepsSpec
from datalake_assets.sandbox.sandbox import Sandbox
from datalake_assets.warehouse.connection import connect
from tests.integration.runs import Run
from tests.steps.world import LOCATION, until, write_pipeline

DAYS = '  partitions: {daily: "2026-01-01", time_zone: Europe/Berlin}\n'
DAY = "2026-01-05"
SECRET, TOKEN = "content/api", "tok-4711-very-secret"


@dataclass
class Bench:
    """Declares a pipeline and runs it in this process."""

    folder: Path
    instance: dg.DagsterInstance

    def run(self, steps: str, *, more: str = "", partition: str | None = None, **files: str) -> Run:
        folder = write_pipeline(self.folder, "tried", steps, more=more, **files)
        (found,) = read_all(folder)
        assert isinstance(found.spec, StepsSpec)
        definitions = dg.Definitions.merge(
            build_steps_definitions(LOCATION, found.spec, folder=folder),
            dg.Definitions(executor=dg.in_process_executor),
        )
        job = definitions.resolve_job_def("tried")
        return Run(job.execute_in_process(instance=self.instance, partition_key=partition, raise_on_error=False))

    def log(self, run: Run) -> str:
        return "\n".join(entry.user_message for entry in self.instance.all_logs(run.id))

    def events(self, run: Run) -> str:
        """All that stands in the event log, whatever its place."""
        return "\n".join(str(entry) for entry in self.instance.all_logs(run.id))


@pytest.fixture
def bench(sandbox: Sandbox, tmp_path: Path) -> Iterator[Bench]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Bench(tmp_path, instance)


def metadata(run: Run, step: str) -> dict[str, Any]:
    (found,) = [
        event.event_specific_data.metadata
        for event in run.result.all_events
        if event.is_successful_output and event.step_key == f"steps_tried.{step}"
    ]
    return {name: value.value for name, value in found.items()}


def rows(sql: str) -> list[tuple[Any, ...]]:
    with connect(warehouse_secret(LOCATION)) as connection:
        return connection.execute(sql).rows


def test_a_shell_step_knows_its_partition_and_acts_as_its_account(bench: Bench) -> None:
    bucket = registry().account(LOCATION).lake_bucket
    run = bench.run(
        """
    - name: show
      shell: |
        echo "$DATALAKE_PARTITION from $DATALAKE_PARTITION_START to $DATALAKE_PARTITION_END"
        echo '{"rows": 3, "parts": ["a", "b"]}' > "$DATALAKE_METADATA"
    - {name: write, python: "write.py:write"}
""",
        more=DAYS,
        partition=DAY,
        write="""
import os, boto3
def write(partition):
    who = boto3.client("sts").get_caller_identity()["Arn"]
    bucket = os.environ["DATALAKE_LAKE_BUCKET"]
    boto3.client("s3").put_object(Bucket=bucket, Key=f"steps/{partition}", Body=who.encode())
    return {"who": who}
""",
    )
    assert run.success, run.failure
    assert f"{DAY} from 2026-01-04T23:00:00Z to 2026-01-05T23:00:00Z" in bench.log(run)
    assert metadata(run, "show") == {"rows": 3, "parts": ["a", "b"]}
    body = session(LOCATION).client("s3").get_object(Bucket=bucket, Key=f"steps/{DAY}")["Body"].read().decode()
    role = registry().account(LOCATION).role.rpartition("/")[2]
    assert f"assumed-role/{role}/" in body
    assert metadata(run, "write") == {"who": body}
    assert run.materialized_partitions(dg.AssetKey([LOCATION, "steps", "tried"])) == [DAY]


def test_a_step_sees_no_secret_of_the_platform(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_TOKEN", "xoxb-not-for-steps")
    run = bench.run("    - {name: look, shell: 'env'}\n")
    assert run.success
    seen = bench.log(run)
    assert "DATALAKE_LOCATION=content" in seen
    for name in ("DATALAKE_DATABASE_URL", "DATALAKE_DAGSTER_DATABASE_URL", "AWS_SECRET_ACCESS_KEY", "SLACK_TOKEN"):
        assert name not in seen


def test_a_secret_reaches_the_step_and_no_log(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    client = session(LOCATION).client("secretsmanager")
    client.create_secret(Name=SECRET, SecretString=json.dumps({"token": TOKEN}))
    run = bench.run(
        "    - {name: use, shell: 'echo got $API; echo $API | wc -c; echo $API >&2; exit 7', "
        f"env: {{API: {{secret: {SECRET}, key: token}}}}}}\n"
    )
    assert not run.success
    assert f"got •••\n{len(TOKEN) + 1}\n•••" in bench.log(run)
    assert TOKEN not in bench.events(run)
    printed = capfd.readouterr()
    assert TOKEN not in printed.out + printed.err

    missing = bench.run(f"    - {{name: use, shell: 'true', env: {{API: {{secret: {SECRET}, key: tokn}}}}}}\n")
    assert "the secret has no key 'tokn'" in missing.failure
    assert TOKEN not in bench.events(missing)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('no such thing')", "ValueError: no such thing"),
        ("import sys; sys.exit('stop here')", "stop here"),
        ("import sys; sys.exit(5)", "status 5"),
        ("import os; os._exit(6)", "status 6"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
    ],
)
def test_a_python_step_that_fails_says_why(bench: Bench, body: str, said: str) -> None:
    run = bench.run("    - {name: fail, python: 'f.py:f'}\n", f=f"def f():\n    {body}\n")
    assert not run.success
    assert said in run.failure


def test_the_traceback_of_a_python_step_is_its_own(bench: Bench) -> None:
    run = bench.run("    - {name: fail, python: 'f.py:f'}\n", f="def f():\n    g()\ndef g():\n    1 / 0\n")
    assert "ZeroDivisionError" in run.failure
    assert "line 2, in f" in run.failure
    assert "call.py" not in run.failure


def test_a_file_that_went_missing_is_told_and_not_tried_again(bench: Bench) -> None:
    folder = write_pipeline(
        bench.folder, "tried", "    - {name: x, python: 'f.py:f', retries: 3}\n", f="def f(): ...\n"
    )
    (found,) = read_all(folder)
    assert isinstance(found.spec, StepsSpec)
    (folder / "f.py").unlink()
    job = build_steps_definitions(LOCATION, found.spec, folder=folder).resolve_job_def("tried")
    run = Run(job.execute_in_process(instance=bench.instance, raise_on_error=False))
    assert "there is no file 'f.py'" in run.failure
    assert run.restarts == 0


def test_a_step_is_tried_again_as_often_as_it_says(bench: Bench) -> None:
    attempts = bench.folder / "attempts"
    steps = (
        f"    - {{name: x, shell: 'echo $DATALAKE_ATTEMPT >> {attempts}; test $DATALAKE_ATTEMPT = 3', "
        "retries: 2, retry_after: 0s}\n"
    )
    run = bench.run(steps)
    assert run.success
    assert attempts.read_text().split() == ["1", "2", "3"]


def test_statements_run_on_the_warehouse_all_or_none(bench: Bench) -> None:
    run = bench.run(
        """
    - name: make
      sql: |
        CREATE SCHEMA IF NOT EXISTS steps; DROP TABLE IF EXISTS steps.days;
        CREATE TABLE steps.days (dt DATE, said VARCHAR(20));
    - name: fill
      sql: |
        -- the day; and what is said of it
        DELETE FROM steps.days WHERE dt = $partition;
        INSERT INTO steps.days VALUES ($partition, 'a;b $partition'), ($partition, '100%');
    - name: break_off
      sql: INSERT INTO steps.days VALUES ($partition, 'no'); SELECT nothing FROM nowhere
      retries: 2
""",
        more=DAYS,
        partition=DAY,
    )
    assert not run.success
    assert "nowhere" in run.failure
    assert run.restarts == 0
    assert sorted(rows("SELECT dt::VARCHAR, said FROM steps.days")) == [(DAY, "100%"), (DAY, "a;b $partition")]
    assert "2/2 INSERT INTO steps.days VALUES (DATE '2026-01-05', 'a;b $partition')" in bench.log(run)
    assert metadata(run, "fill")["rows"] >= 2


def running_statements() -> int:
    [(count,)] = rows("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(997)' AND state = 'active'")
    return int(count)


def test_a_statement_that_takes_too_long_is_ended_on_the_warehouse_too(bench: Bench) -> None:
    run = bench.run("    - {name: wait, sql: 'SELECT pg_sleep(997)', timeout: 1s}\n")
    assert "took longer than its timeout of 1 s" in run.failure
    until(lambda: running_statements() == 0, "the end of the statement")


def test_a_cancelled_statement_ends_on_the_warehouse(bench: Bench) -> None:
    from datalake_assets.steps.warehouse import run_statements

    class Interrupted(BaseException):
        pass

    begun = threading.Event()

    def interrupt() -> bool:
        if running_statements():
            begun.set()
            raise Interrupted
        return False

    with pytest.raises(Interrupted):
        run_statements(
            warehouse_secret(LOCATION),
            ["SELECT pg_sleep(997)"],
            what="the step",
            tell=lambda _: None,
            is_orphaned=interrupt,
        )
    assert begun.is_set()
    until(lambda: running_statements() == 0, "the end of the statement")


def test_a_python_step_may_use_the_warehouse(bench: Bench) -> None:
    run = bench.run(
        "    - {name: ask, python: 'f.py:f'}\n",
        f="def f(context):\n    with context.warehouse() as w:\n        [(n,)] = w.execute('SELECT 40 + 2').rows\n"
        "    return {'n': n}\n",
    )
    assert run.success, run.failure
    assert metadata(run, "ask") == {"n": 42}


def test_a_spark_step_gets_a_session_and_reads_the_lake(bench: Bench) -> None:
    pytest.importorskip("pysail")
    bucket = registry().account(LOCATION).lake_bucket
    run = bench.run(
        "    - {name: count, spark: 'f.py:f'}\n    - {name: program, spark: p.py}\n",
        more=DAYS,
        partition=DAY,
        f=f"""
def f(spark, partition):
    place = f"s3://{bucket}/steps_spark/{{partition}}"
    spark.range(5).write.mode("overwrite").parquet(place)
    return {{"rows": spark.read.parquet(place).count()}}
""",
        p="""
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print("sum", spark.range(4).groupBy().sum().collect()[0][0])
""",
    )
    assert run.success, run.failure
    assert metadata(run, "count") == {"rows": 5}
    assert "sum 6" in bench.log(run)


def test_without_spark_a_spark_step_says_what_to_install(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from datalake_assets.steps import spark

    monkeypatch.setattr(spark, "find_spec", lambda _: None)
    run = bench.run("    - {name: count, spark: 'f.py:f', retries: 1}\n", f="def f(spark): ...\n")
    assert "Spark is not installed here (pyspark and pysail missing)" in run.failure
    assert run.restarts == 0


def test_a_dbt_step_builds_models_and_says_which(bench: Bench) -> None:
    from datalake_assets.components.dbt.manifest import ensure_manifest
    from datalake_assets.project import DBT_PROJECT

    ensure_manifest(DBT_PROJECT)
    with connect(warehouse_secret(LOCATION)) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS lake")
        connection.execute("DROP TABLE IF EXISTS lake.airlines CASCADE")
        connection.execute("CREATE TABLE lake.airlines (carrier VARCHAR(10), name VARCHAR(100))")
        connection.execute("INSERT INTO lake.airlines VALUES ('UA', 'United')")
    run = bench.run("    - {name: build, dbt: stg_airlines}\n")
    assert run.success, run.failure
    assert metadata(run, "build")["models"] == ["analytics/staging/stg_airlines"]
    assert run.materialized(dg.AssetKey(["analytics", "staging", "stg_airlines"]))
    assert rows("SELECT count(*) FROM staging.stg_airlines") == [(1,)]
    assert warehouse_secret(LOCATION).password.get_secret_value() not in bench.events(run)

    nothing = bench.run("    - {name: build, dbt: no_such_model}\n")
    assert "dbt built nothing for no_such_model" in nothing.failure


def test_a_step_of_a_finished_run_ends(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from datalake_assets.components import step_running

    monkeypatch.setattr(step_running, "LOOK_SECONDS", 0.1)
    path = bench.folder / "begun"

    def fail_the_run() -> None:
        until(path.exists, "the step to begin")
        (run,) = bench.instance.get_runs()
        bench.instance.report_run_failed(run)

    watcher = threading.Thread(target=fail_the_run)
    watcher.start()
    before = time.monotonic()
    run = bench.run(f"    - {{name: wait, shell: 'touch {path}; sleep 1000'}}\n")
    watcher.join()
    assert "the run that it belongs to is gone" in run.failure
    assert time.monotonic() - before < 900
