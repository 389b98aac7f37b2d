"""The same graph with Dagster's declarative automation, to measure beside the triggers."""

from typing import TYPE_CHECKING, Any

from benchmarks._triggers.topology import FIRST_DAY, Pipeline, topology

if TYPE_CHECKING:
    import dagster as dg


def __getattr__(name: str) -> "dg.Definitions":
    if not name.startswith("acct"):
        raise AttributeError(name)
    return build(name)


def build(location: str) -> "dg.Definitions":
    """The pipelines of one location, each an asset; those that wait have a condition."""
    import dagster as dg

    condition = dg.AutomationCondition
    ready = (
        condition.in_latest_time_window()
        & condition.missing()
        & ~condition.any_deps_missing()
        & ~condition.in_progress()
        & ~condition.execution_failed()
    )
    days = dg.DailyPartitionsDefinition(FIRST_DAY, end_date="2026-01-04")
    assets = [
        _asset(each, [dg.AssetKey([p.location, "steps", p.name]) for p in parents], days, ready if parents else None)
        for each, parents in topology().parents.items()
        if each.location == location
    ]
    sensor = dg.AutomationConditionSensorDefinition(
        f"{location}_conditions",
        target=dg.AssetSelection.all(),
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    return dg.Definitions(assets=assets, sensors=[sensor])


def _asset(pipeline: Pipeline, deps: list[Any], days: Any, condition: Any) -> Any:
    import dagster as dg

    @dg.asset(
        key=[pipeline.location, "steps", pipeline.name],
        deps=deps,
        partitions_def=days,
        automation_condition=condition,
        op_tags={"datalake/pipeline": str(pipeline)},
    )
    def work() -> None: ...

    return work
