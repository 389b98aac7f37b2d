"""The code locations: `datalake_assets.definitions:<location>` is what workspace.yaml names.

A location is built when its attribute is asked for, so that a process loads one account and nothing of the others.
This module lies outside the locations' folders: Dagster would take it for a definition in there and recurse.
"""

from typing import TYPE_CHECKING

from datalake_assets.project import LOCATIONS_FOLDER, PROJECT_ROOT

if TYPE_CHECKING:
    import dagster as dg


def __getattr__(name: str) -> "dg.Definitions":
    if name.startswith("_") or not (LOCATIONS_FOLDER / name).is_dir():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return build_location(name)


def build_location(name: str) -> "dg.Definitions":
    """Everything that runs in one account: what its folder declares, and one arrival sensor for all its sources.

    Raises:
        ConfigurationError: a YAML file has mistakes (all of them are listed), or the registry does not know the name.
    """
    import importlib
    import warnings

    import dagster as dg
    from dagster.components.core.component_tree import ComponentTree

    from datalake_assets.accounts.registry import registry
    from datalake_assets.components.declarations import read_declarations
    from datalake_assets.components.lake_pipeline import build_arrival_source

    registry().account(name)
    folder = LOCATIONS_FOLDER / name
    declared = read_declarations(folder)  # before Dagster reads them: all mistakes at once, with their lines
    module = importlib.import_module(f"datalake_assets.locations.{name}")
    # Of the folder, not of the whole tree: the root adds a catalog of every component type that any installed package
    # offers, and importing those takes three times as long as all the rest.
    with warnings.catch_warnings():
        # Of Dagster about Dagster, in each log of each run: its component loader uses what it calls preview and beta.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        warnings.simplefilter("ignore", dg.BetaWarning)
        loaded = ComponentTree.from_module(defs_module=module, project_root=PROJECT_ROOT).build_defs(folder)
    sensors = []
    if declared:
        from datalake_assets.arrivals.sensor import build_arrival_sensor

        sources = [build_arrival_source(name, each.spec) for each in declared]
        sensors.append(build_arrival_sensor(name, sources, jobs=list(loaded.jobs or [])))
    return dg.Definitions.merge(loaded, dg.Definitions(sensors=sensors, executor=dg.in_process_executor))
