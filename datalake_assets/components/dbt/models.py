"""Assets, checks and lineage of the dbt project's models.

What each model is comes from the manifest; how dbt is run is in `run`.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from datalake_assets.components.dbt.manifest import read_manifest
from datalake_assets.components.dbt.nodes import BUILT_RESOURCES, node_key, relation_name
from datalake_assets.names import identifier
from datalake_assets.triggers.decision import Target, Timing
from datalake_assets.triggers.sensor import build_trigger_sensor

_DBT_VERSION = "dbt.version"


def _import_dagster_dbt() -> None:
    """Import dagster_dbt without dbt itself, which only the dbt process needs.

    dagster_dbt looks for dbt while it is imported, and does without where dbt-core is not installed: 0.6 s instead of
    2.1 s for each code server and each run.
    """
    if "dagster_dbt" in sys.modules or _DBT_VERSION in sys.modules:
        return
    sys.modules[_DBT_VERSION] = None  # type: ignore[assignment]  # the import system's own way to say "not there"
    try:
        import dagster_dbt  # noqa: F401
    finally:
        del sys.modules[_DBT_VERSION]


_import_dagster_dbt()

from dagster_dbt import DagsterDbtTranslator, dbt_assets  # noqa: E402

if TYPE_CHECKING:
    from dagster_dbt.dbt_project import DbtProject

MODELS_JOB = "dbt_models"


class ModelTranslator(DagsterDbtTranslator):
    """Names of the platform for dbt's nodes: `[location, schema, model]`, and what a source says it is."""

    def __init__(self, location: str) -> None:
        super().__init__()
        self.location = identifier(location, what="location")

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """The key of a model, or of the warehouse asset that a source stands for."""
        return dg.AssetKey(node_key(self.location, dbt_resource_props))

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """One group for each schema: staging, marts."""
        return str(dbt_resource_props["schema"])

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        """Columns as the project describes them, and the name by which people query the table."""
        found = dict(super().get_metadata(dbt_resource_props))
        found["dagster/table_name"] = f"{dbt_resource_props['schema']}.{relation_name(dbt_resource_props)}"
        return found

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: "DbtProject | None") -> dg.AssetSpec:
        """The asset of a node; where it is materialized is one of its kinds."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        materialized = self.get_resource_props(manifest, unique_id).get("config", {}).get("materialized")
        return spec.merge_attributes(kinds={materialized}) if materialized in ("table", "view") else spec


def build_dbt_definitions(location: str, project_dir: Path, *, timing: Timing | None = None) -> dg.Definitions:
    """Return the models of a dbt project as assets, their tests as asset checks, and what makes them run by themselves.

    Args:
        location: the location that the models belong to, and whose account's warehouse they are built in.
        project_dir: the folder with dbt_project.yml; its manifest must have been built (`ensure_manifest`).
        timing: how long the trigger waits for more news about the sources.

    Raises:
        ConfigurationError: the manifest is missing or broken.
    """
    manifest = read_manifest(project_dir)
    translator = ModelTranslator(location)

    @dbt_assets(manifest=manifest, dagster_dbt_translator=translator, name=f"{translator.location}_dbt")
    def models(context: dg.AssetExecutionContext) -> Iterator[Any]:
        from datalake_assets.components.dbt.run import build_models

        yield from build_models(context, location=location, project_dir=project_dir, translator=translator)

    # One dbt process builds all models in its own threads: a process for each step would only add its start.
    job = dg.define_asset_job(
        MODELS_JOB,
        selection=dg.AssetSelection.assets(models),
        executor_def=dg.in_process_executor,
        description="Build the selected dbt models and run their tests.",
    )
    trigger = build_trigger_sensor(location, job=job, targets=model_targets(manifest, translator), timing=timing)
    return dg.Definitions(assets=[models], jobs=[job], sensors=[trigger])


def model_targets(manifest: Mapping[str, Any], translator: ModelTranslator) -> list[Target]:
    """Return what each model is built from, and what its tests read besides: all of that must exist before."""
    nodes = {**manifest["sources"], **manifest["nodes"]}
    keys = {
        unique_id: translator.get_asset_key(node).to_user_string()
        for unique_id, node in nodes.items()
        if node["resource_type"] in ("source", *BUILT_RESOURCES)
    }
    needs: dict[str, set[str]] = defaultdict(set)
    for node in manifest["nodes"].values():
        if node["resource_type"] == "test":
            read = {keys[parent] for parent in node["depends_on"]["nodes"] if parent in keys}
            needs[node.get("attached_node") or ""] |= read
    return [
        Target(
            key=keys[unique_id],
            parents=frozenset(keys[parent] for parent in node["depends_on"]["nodes"] if parent in keys),
            needs=frozenset(needs[unique_id] - {keys[unique_id]}),
        )
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] in BUILT_RESOURCES
    ]
