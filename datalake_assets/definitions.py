"""The code locations: `datalake_assets.definitions:<location>` is what workspace.yaml names.

A location is built when its attribute is asked for, so that a process loads one account and nothing of the others.
This module lies outside the locations' folders: Dagster would take it for a definition in there and recurse.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

PROJECT_ROOT = Path(__file__).resolve().parent.parent
LOCATIONS_FOLDER = Path(__file__).resolve().parent / "locations"
DBT_PROJECT = PROJECT_ROOT / "dbt_project"


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

    import dagster as dg
    from dagster.components import load_defs

    from datalake_assets.accounts.registry import registry
    from datalake_assets.components.declarations import read_declarations
    from datalake_assets.components.lake_pipeline import build_arrival_source

    registry().account(name)
    folder = LOCATIONS_FOLDER / name
    declared = read_declarations(folder)  # before Dagster reads them: all mistakes at once, with their lines
    loaded = load_defs(importlib.import_module(f"datalake_assets.locations.{name}"), project_root=PROJECT_ROOT)
    sensors = []
    if declared:
        from datalake_assets.arrivals.sensor import build_arrival_sensor

        sensors.append(build_arrival_sensor(name, [build_arrival_source(name, each.spec) for each in declared]))
    return dg.Definitions.merge(loaded, dg.Definitions(sensors=sensors, executor=dg.in_process_executor))
