"""What there will be after files have landed: worked out from the declared pipelines and the dbt project."""

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from datalake_assets.arrivals.sources import partition_of
from datalake_assets.cli.progress import Watch, WatchedTable
from datalake_assets.components.declarations import read_all, read_declarations
from datalake_assets.components.lake_pipeline import build_pipeline
from datalake_assets.names import UNPARTITIONED
from datalake_assets.project import DBT_PROJECT, LOCATIONS_FOLDER


def build_watch(landed: Mapping[str, Sequence[str]], derived: Mapping[str, Collection[str]] | None = None) -> Watch:
    """Work out what to wait for.

    Args:
        landed: keys that were landed, by location.
        derived: pipelines that follow from others, `location/name`, and the partitions that they will have.
    """
    tables = [table for location, keys in landed.items() for table in _of_files(location, keys)]
    tables += [_of_pipeline(name, partitions) for name, partitions in (derived or {}).items()]
    models = _models()
    return Watch(tables, [key.split("/") for key in models], time.time(), models)


def _of_files(location: str, landed_keys: Sequence[str]) -> list[WatchedTable]:
    tables = []
    for declaration in read_declarations(LOCATIONS_FOLDER / location):
        pipeline = build_pipeline(location, declaration.spec)
        matched = [
            partition
            for key in landed_keys
            if (partition := partition_of(key, pipeline.patterns, pipeline.marker)) is not None
        ]
        if matched:
            target = declaration.spec.warehouse
            tables.append(
                WatchedTable(
                    lake_key=pipeline.lake_key,
                    warehouse_key=pipeline.warehouse_asset_key if target else None,
                    warehouse_table=target.table if target else None,
                    files=len(matched),
                    partitions=len(Counter(matched)),
                )
            )
    return tables


def _of_pipeline(name: str, partitions: Collection[str]) -> WatchedTable:
    location, _, table = name.partition("/")
    (declared,) = read_all(LOCATIONS_FOLDER / name)
    by_layer = {path[1]: list(path) for path in declared.spec.assets(location) if path[2] == table}
    target = getattr(declared.spec, "warehouse", None)
    return WatchedTable(
        lake_key=by_layer["lake"],
        warehouse_key=by_layer.get("warehouse"),
        warehouse_table=target.table if target else None,
        files=0,
        partitions=len(set(partitions) - {UNPARTITIONED}),
    )


def _models() -> dict[str, frozenset[str]]:
    """Each dbt model and the warehouse tables that it is made of, over all models between; keys joined with `/`."""
    from datalake_assets.components.dbt.manifest import read_manifest
    from datalake_assets.components.dbt.nodes import DBT_LOCATION, built_nodes, node_key, parent_nodes

    manifest = read_manifest(DBT_PROJECT)
    found: dict[str, frozenset[str]] = {}

    def sources(node: Mapping[str, object]) -> frozenset[str]:
        key = "/".join(node_key(DBT_LOCATION, node))
        if node["resource_type"] == "source":
            return frozenset({key})
        if key not in found:
            found[key] = frozenset().union(*(sources(parent) for parent in parent_nodes(node, manifest)))
        return found[key]

    for node in built_nodes(manifest):
        sources(node)
    return found
