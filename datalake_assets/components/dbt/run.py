"""Run `dbt build` for the models that a run selected, and tell Dagster what came of it."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from importlib.metadata import version as installed_version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliInvocation, DbtCliResource
from packaging.version import Version

from datalake_assets.accounts.secrets import WarehouseSecret, warehouse_secret
from datalake_assets.components.dbt.lineage import Relation, column_lineage
from datalake_assets.components.dbt.manifest import PARTIAL_PARSE, dbt_executable, read_manifest
from datalake_assets.components.dbt.models import ModelTranslator
from datalake_assets.errors import AuditFailed, PermanentError, PlatformError, Unavailable
from datalake_assets.names import quoted
from datalake_assets.warehouse.connection import WarehouseConnection, connect

MAX_NAMED_FAILURES = 5
_UNREACHABLE = re.compile(
    r"could not connect|connection refused|failed to connect|communication error|timed? ?out|getaddrinfo|"
    r"name or service",
    re.IGNORECASE,
)
_FAILED = {"error", "fail", "runtime error"}


class LeanDbtCli(DbtCliResource):
    """dagster_dbt's runner of dbt, without what it does for features that are not used here.

    It would start dbt once more to learn its version, and load dbt into this process to query the warehouse.
    """

    @cached_property
    def _cli_version(self) -> Version:
        return Version(installed_version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        return None


def build_models(
    context: dg.AssetExecutionContext, *, location: str, project_dir: Path, translator: ModelTranslator
) -> Iterator[Any]:
    """Build the run's selected models in the warehouse and yield their materializations and check results.

    Raises:
        AuditFailed: the models were built, but tests failed.
        Unavailable: the warehouse does not answer.
        PermanentError: a model failed; the message names it and quotes the warehouse.
    """
    secret = warehouse_secret(location)
    manifest = read_manifest(project_dir)
    dbt = LeanDbtCli(
        project_dir=os.fspath(project_dir), profiles_dir=os.fspath(project_dir), dbt_executable=dbt_executable()
    )
    with TemporaryDirectory(prefix="dbt-") as own:
        target = Path(own)
        with _environment(warehouse_environment(secret)):
            invocation = dbt.cli(["build"], context=context, target_path=target, raise_on_error=False)
        with closing(_RowCounts(secret)) as rows:
            for event in invocation.stream():
                if isinstance(event, dg.Output):
                    node = _node_of(manifest, translator, event, context)
                    context.add_output_metadata(
                        _built_metadata(node, manifest, translator, target, rows), output_name=event.output_name
                    )
                yield event
        invocation.process.wait()
        _keep_partial_parse(project_dir, target)
        if invocation.process.returncode:
            raise _failure(invocation)


def warehouse_environment(secret: WarehouseSecret) -> dict[str, str]:
    """The variables that the project's profiles.yml reads, and how dbt chooses the tests of a run."""
    return {
        # Not dbt's `eager`, which runs a test as soon as one of the models that it reads is built: the first load of
        # airlines would test flights, which do not exist yet.
        "DBT_INDIRECT_SELECTION": "buildable",
        "DBT_WAREHOUSE_HOST": secret.host,
        "DBT_WAREHOUSE_PORT": str(secret.port),
        "DBT_WAREHOUSE_DATABASE": secret.dbname,
        "DBT_WAREHOUSE_USER": secret.username,
        # dbt hides the values of variables with this prefix in all its logs.
        "DBT_ENV_SECRET_WAREHOUSE_PASSWORD": secret.password.get_secret_value(),
        "DBT_WAREHOUSE_SSLMODE": "require" if secret.ssl else "disable",
    }


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the child process that is started inside; dbt reads its profile from nowhere else."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _RowCounts:
    """Counts the rows of tables over one connection, opened at the first one."""

    def __init__(self, secret: WarehouseSecret) -> None:
        self._secret = secret
        self._connection: WarehouseConnection | None = None

    def of(self, schema: str, table: str) -> int:
        if self._connection is None:
            self._connection = connect(self._secret)
        [(rows,)] = self._connection.execute(f"select count(*) from {quoted(schema)}.{quoted(table)}").rows
        return int(rows)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _node_of(
    manifest: Mapping[str, Any], translator: ModelTranslator, event: "dg.Output[Any]", context: dg.AssetExecutionContext
) -> Mapping[str, Any]:
    key = context.asset_key_for_output(event.output_name)
    found: Mapping[str, Any] = next(
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] in ("model", "seed", "snapshot") and translator.get_asset_key(node) == key
    )
    return found


def _built_metadata(
    node: Mapping[str, Any],
    manifest: Mapping[str, Any],
    translator: ModelTranslator,
    target: Path,
    rows: _RowCounts,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if node["config"].get("materialized") != "view":
        # A view is not counted: it would read the whole table below.
        metadata["dagster/row_count"] = rows.of(node["schema"], node["alias"])
    compiled = target / "compiled" / node["package_name"] / node["original_file_path"]
    if compiled.is_file() and node["columns"]:
        from sqlglot.errors import SqlglotError

        try:
            metadata["dagster/column_lineage"] = column_lineage(
                compiled.read_text(encoding="utf-8"), node["columns"], list(_parents(node, manifest, translator))
            )
        except SqlglotError as error:
            # Lineage is an extra: the model was built, and nobody should lose it over a parser's gap.
            metadata["column_lineage_error"] = str(error)
    return metadata


def _parents(node: Mapping[str, Any], manifest: Mapping[str, Any], translator: ModelTranslator) -> Iterator[Relation]:
    for unique_id in node["depends_on"]["nodes"]:
        parent = manifest["sources"].get(unique_id) or manifest["nodes"][unique_id]
        name = parent.get("alias") or parent.get("identifier") or parent["name"]
        yield Relation(parent["schema"], name, translator.get_asset_key(parent), list(parent["columns"]))


def _keep_partial_parse(project_dir: Path, target: Path) -> None:
    """Let the next run start from what dbt parsed for this warehouse, where the project's folder can be written."""
    made = target / PARTIAL_PARSE
    place = project_dir / "target"
    if made.is_file() and os.access(place, os.W_OK):
        import shutil

        passing = place / f"{PARTIAL_PARSE}.{os.getpid()}"
        shutil.copyfile(made, passing)
        os.replace(passing, place / PARTIAL_PARSE)


def _failure(invocation: DbtCliInvocation) -> PlatformError:
    """What went wrong, by node where dbt got as far as running one."""
    try:
        results = invocation.get_artifact("run_results.json")["results"]
    except FileNotFoundError:
        results = []
    failed = [result for result in results if result["status"] in _FAILED]
    if not failed:
        said = " ".join(" ".join(invocation._error_messages).split()) or "no message"
        kind = Unavailable if _UNREACHABLE.search(said) else PermanentError
        return kind(f"dbt ended with status {invocation.process.returncode}: {said}", where="dbt build")

    described = [f"{_short(result['unique_id'])}: {_one_line(result['message'])}" for result in failed]
    shown = "; ".join(described[:MAX_NAMED_FAILURES])
    more = f"; and {len(described) - MAX_NAMED_FAILURES} more" if len(described) > MAX_NAMED_FAILURES else ""
    text = f"{len(failed)} of {len(results)} dbt nodes failed: {shown}{more}"
    if all(result["unique_id"].startswith(("test.", "unit_test.")) for result in failed):
        return AuditFailed(text, where="dbt build", todo="The failed checks of the models' assets name rows and SQL")
    if any(_UNREACHABLE.search(result["message"] or "") for result in failed):
        return Unavailable(text, where="dbt build", todo="Is the warehouse running and reachable?")
    return PermanentError(text, where="dbt build", todo="Mend the model or its sources, then run it again")


def _short(unique_id: str) -> str:
    """`stg_flights` of `model.datalake.stg_flights`, without the hash that ends a test's id."""
    parts = unique_id.split(".")
    return parts[2] if len(parts) > 2 else unique_id


def _one_line(message: str | None) -> str:
    return " ".join((message or "no message").split())[:400]
