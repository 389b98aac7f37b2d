"""The code locations: `datalake_assets.definitions:<location>` is what workspace.yaml names.

A location is built when its attribute is asked for, so that a process loads one account and nothing of the others.
This module lies outside the locations' folders: Dagster would take it for a definition in there and recurse.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from datalake_assets.project import LOCATIONS_FOLDER, PROJECT_ROOT

if TYPE_CHECKING:
    import dagster as dg

    from datalake_assets.components.declarations import AnyDeclaration


def __getattr__(name: str) -> "dg.Definitions":
    if name.startswith("_") or not (LOCATIONS_FOLDER / name).is_dir():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return build_location(name)


def build_location(name: str) -> "dg.Definitions":
    """Everything that runs in one account: what its folder declares, and one sensor each for arrivals and triggers.

    Raises:
        ConfigurationError: a YAML file has mistakes (all of them are listed), or the registry does not know the name.
    """
    import importlib
    import warnings

    import dagster as dg
    from dagster.components.core.component_tree import ComponentTree

    from datalake_assets.accounts.registry import registry
    from datalake_assets.components.declarations import read_all

    registry().account(name)
    folder = LOCATIONS_FOLDER / name
    declared = read_all(folder)  # before Dagster reads them: all mistakes at once, with their lines
    module = importlib.import_module(f"datalake_assets.locations.{name}")
    # Of the folder, not of the whole tree: the root adds a catalog of every component type that any installed package
    # offers, and importing those takes three times as long as all the rest.
    with warnings.catch_warnings():
        # Of Dagster about Dagster, in each log of each run: its component loader uses what it calls preview and beta.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        warnings.simplefilter("ignore", dg.BetaWarning)
        loaded = ComponentTree.from_module(defs_module=module, project_root=PROJECT_ROOT).build_defs(folder)
    sensors = _sensors(name, declared, list(loaded.jobs or []))
    return dg.Definitions.merge(loaded, dg.Definitions(sensors=sensors, executor=dg.in_process_executor))


def _sensors(location: str, declared: "Sequence[AnyDeclaration]", jobs: Sequence[Any]) -> "list[dg.SensorDefinition]":
    from datalake_assets.components.declarations import Declaration
    from datalake_assets.components.triggering import triggers_of_declared

    sensors = []
    triggers = triggers_of_declared(location, declared)
    sources = {}
    if lakes := [each for each in declared if isinstance(each, Declaration)]:
        from datalake_assets.arrivals.sensor import build_arrival_sensor
        from datalake_assets.components.lake_pipeline import build_arrival_source

        sources = {each.name: build_arrival_source(location, each.spec) for each in lakes}
        sensors.append(build_arrival_sensor(location, list(sources.values()), jobs=jobs))
    if triggers:
        from datalake_assets.components.triggered_files import LedgerFiles
        from datalake_assets.triggers.pipeline_sensor import HOLD_SECONDS, build_pipeline_sensor

        files = LedgerFiles(sources)
        sensors.append(build_pipeline_sensor(location, triggers, jobs=jobs, files=files, hold_seconds=HOLD_SECONDS))
    return sensors
