"""Build models of the dbt project as a step of a pipeline, and tell Dagster which were built."""

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg

from datalake_assets.accounts.secrets import warehouse_secret
from datalake_assets.components.dbt.manifest import PARTIAL_PARSE, dbt_executable, read_manifest
from datalake_assets.components.dbt.nodes import BUILT_RESOURCES, DBT_LOCATION, node_key
from datalake_assets.components.dbt.run import warehouse_environment
from datalake_assets.errors import ConfigurationError
from datalake_assets.project import DBT_PROJECT
from datalake_assets.steps.model import Attempt, Dbt
from datalake_assets.steps.run import run_program


def build_selected(
    context: dg.OpExecutionContext, attempt: Attempt, work: Dbt, *, is_orphaned: Callable[[], bool]
) -> dict[str, Any]:
    """Run `dbt build` with a selection, on the warehouse of the step's account; returns how many models were built.

    The models' assets are materialized by it, as by a run of their own; those of a build that failed half-way, too.

    Raises:
        StepFailed: dbt ended with another status than 0; the message has its last lines.
        ConfigurationError: there is no dbt project, or nothing in it is selected.
    """
    project = DBT_PROJECT
    manifest = read_manifest(project)
    secret = warehouse_secret(attempt.location)
    variables = warehouse_environment(secret) | {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    with tempfile.TemporaryDirectory(prefix="dbt-") as own:
        target = Path(own)
        parsed = project / "target" / PARTIAL_PARSE
        if parsed.is_file():
            shutil.copyfile(parsed, target / PARTIAL_PARSE)
        place = ["--project-dir", str(project), "--profiles-dir", str(project)]
        arguments = [dbt_executable(), "--no-use-colors", "--log-path", str(target), "build", "--select", *work.select]
        try:
            metadata = run_program(
                replace(attempt, folder=project),
                [*arguments, *place, "--target-path", str(target)],
                variables,
                tell=context.log.info,
                hidden=[secret.password.get_secret_value()],
                is_orphaned=is_orphaned,
            )
        finally:
            built = _report_built(context, attempt, target, manifest)
    if not built:
        raise ConfigurationError(
            f"dbt built nothing for {' '.join(work.select)}",
            where=attempt.where,
            todo="Compare the selection with the models of the project: `dbt ls --select …`",
        )
    return {**metadata, "models": built}


def _report_built(context: dg.OpExecutionContext, attempt: Attempt, target: Path, manifest: Any) -> list[str]:
    """Materialize the assets of the models that were built; returns their keys."""
    try:
        results = json.loads((target / "run_results.json").read_bytes())["results"]
    except FileNotFoundError:  # dbt did not get as far
        return []
    built: list[str] = []
    for result in results:
        node = manifest["nodes"].get(result["unique_id"])
        if node is None or node["resource_type"] not in BUILT_RESOURCES or result["status"] != "success":
            continue
        key = dg.AssetKey(node_key(DBT_LOCATION, node))
        context.log_event(
            dg.AssetMaterialization(
                key,
                metadata={
                    "built by": attempt.where,
                    "seconds": round(result["execution_time"], 2),
                    "dagster/table_name": f"{node['schema']}.{key.path[-1]}",
                },
            )
        )
        built.append(key.to_user_string())
    return built
