"""Pipelines of some accounts whose runs end as a test says, and the sensor's ticks among them.

Runs are made on a real instance, with the events that Dagster writes for them, but nothing executes: a test says what
becomes of each.
"""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg
from dagster._core.events import DagsterEvent, JobFailureData, RunFailureReason, StepMaterializationData
from dagster._core.storage.dagster_run import DagsterRunStatus

from datalake_assets.names import UNPARTITIONED
from datalake_assets.triggers.calendars import Calendar
from datalake_assets.triggers.memory import Memory
from datalake_assets.triggers.model import (
    AllOf,
    AnyOf,
    Condition,
    Execution,
    FilesState,
    Parent,
    PipelineTrigger,
    Status,
)
from datalake_assets.triggers.pipeline_sensor import Evaluation, _run_request, evaluate
from datalake_assets.triggers.tags import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG
from datalake_assets.triggers.watch import Candidate, Watch

DAILY = Calendar("day", date(2026, 1, 1))
WHOLE = Calendar()
RUN_KEY_TAG = "dagster/run_key"


def pipeline(name: str, calendar: Calendar = DAILY, *, warehouse: bool = False) -> Parent:
    """`core_data/listings` with a lake table, and a warehouse table if asked for."""
    location, _, table = name.partition("/")
    assets = [(location, "lake", table)]
    if warehouse:
        assets.append((location, "warehouse", table))
    return Parent(name, assets[-1], calendar, table, tuple(assets))


def succeeded(parent: Parent) -> Execution:
    return Execution(parent.name)


def ended(parent: Parent, *statuses: Status) -> Execution:
    return Execution(parent.name, frozenset(statuses))


def trigger(child: Parent, condition: Condition, *parents: Parent, **more: Any) -> PipelineTrigger:
    return PipelineTrigger(child, condition, {parent.name: parent for parent in parents}, **more)


def all_of(*terms: Condition) -> AllOf:
    return AllOf(terms)


def any_of(*terms: Condition) -> AnyOf:
    return AnyOf(terms)


def seconds(text: str) -> float:
    """`2026-11-20 03:00` in UTC, as seconds of the epoch."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()


class KnownFiles:
    """Raw files as a test says they are."""

    def __init__(self) -> None:
        self.known: dict[Candidate, FilesState] = {}

    def states(self, wanted: Collection[Candidate], /) -> Mapping[Candidate, FilesState]:
        return {each: self.known[each] for each in wanted if each in self.known}

    def unfinished(self, pipelines: Collection[str], /) -> Collection[Candidate]:
        return [each for each, state in self.known.items() if each[0] in pipelines and state.published < state.sequence]


class World:
    """Runs of pipelines, and the ticks of one location's sensor."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.files = KnownFiles()
        self.memory = Memory()
        self.now = seconds("2026-11-21 12:00")
        self._jobs: dict[tuple[str, ...], dg.JobDefinition] = {}

    # what happens to pipelines

    def run(
        self,
        of: Parent,
        partition: str = UNPARTITIONED,
        *,
        until: str | None = None,
        assets: Sequence[tuple[str, ...]] | None = None,
        tags: Mapping[str, str] | None = None,
        status: DagsterRunStatus = DagsterRunStatus.NOT_STARTED,
    ) -> dg.DagsterRun:
        """A run that was made for one partition, for a range or for a part of the pipeline's assets."""
        named: dict[str, str] = {}
        if until is not None:
            named = {RANGE_START_TAG: partition, RANGE_END_TAG: until}
        elif partition:
            named = {PARTITION_TAG: partition}
        return self.instance.create_run_for_job(
            self._job(of, tuple(assets or of.assets)), tags={**named, **(tags or {})}, status=status
        )

    def start(self, of: Parent, partition: str = UNPARTITIONED, **more: Any) -> dg.DagsterRun:
        run = self.run(of, partition, **more)
        self.begin(run)
        return run

    def begin(self, run: dg.DagsterRun) -> None:
        self._tell(run, dg.DagsterEventType.PIPELINE_START)

    def publish(self, run: dg.DagsterRun, of: Parent, *partitions: str) -> None:
        """The run materializes all assets of the pipeline for these partitions."""
        for partition in partitions:
            for asset in of.assets:
                made = dg.AssetMaterialization(dg.AssetKey(list(asset)), partition=partition or None)
                self.instance.report_dagster_event(
                    DagsterEvent(
                        dg.DagsterEventType.ASSET_MATERIALIZATION.value,
                        job_name=of.job,
                        event_specific_data=StepMaterializationData(made),
                    ),
                    run.run_id,
                )

    def finish(self, run: dg.DagsterRun) -> None:
        self._tell(run, dg.DagsterEventType.PIPELINE_SUCCESS)

    def fail(self, of: Parent, partition: str = UNPARTITIONED, **more: Any) -> dg.DagsterRun:
        run = self.start(of, partition, **more)
        self.break_off(run)
        return run

    def break_off(self, run: dg.DagsterRun) -> None:
        """A step of the run fails, and with it the run."""
        reason = JobFailureData(error=None, failure_reason=RunFailureReason.STEP_FAILURE)
        self.instance.report_run_failed(run, job_failure_data=reason)

    def cancel(self, run: dg.DagsterRun) -> None:
        self.instance.report_run_canceled(run)

    def time_out(self, of: Parent, partition: str = UNPARTITIONED) -> dg.DagsterRun:
        """As run monitoring does it."""
        run = self.start(of, partition, tags={"dagster/max_runtime": "60", "dagster/max_retries": "0"})
        self.instance.report_run_canceling(run, message="Canceling due to exceeding maximum runtime of 60 seconds.")
        self.instance.report_run_failed(run, "Exceeded maximum runtime of 60 seconds.")
        return run

    def succeed(self, of: Parent, partition: str = UNPARTITIONED, **more: Any) -> dg.DagsterRun:
        run = self.start(of, partition, **more)
        self.publish(run, of, partition)
        self.finish(run)
        return run

    def report(self, of: Parent, partition: str = UNPARTITIONED) -> None:
        """A person reports a materialization in the UI."""
        self.instance.report_runless_asset_event(
            dg.AssetMaterialization(dg.AssetKey(list(of.asset)), partition=partition or None)
        )

    def report_files(self, of: PipelineTrigger, partition: str, state: FilesState) -> None:
        """Files have come: the arrival sensor says so."""
        assert of.raw_asset is not None
        self.files.known[of.pipeline.name, partition] = state
        self.instance.report_runless_asset_event(
            dg.AssetMaterialization(dg.AssetKey(list(of.raw_asset)), partition=partition or None)
        )

    # what the sensor and the daemon do about it

    def tick(self, watch: Watch, *, lost: str = "") -> list[tuple[str, str]]:
        """One tick and what the daemon makes of it: the (pipeline, partition) pairs of the runs that it has made.

        Args:
            lost: `tick`: nothing of it is kept, `runs`: the cursor is kept but no run is made, `cursor`: the other way
                round, `queue`: runs are written and never queued.
        """
        done = self.look(watch)
        made = []
        if lost not in ("tick", "runs"):
            for of, partition, start in done.starts:
                request = _run_request(of, partition, start)
                found = self.instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: str(request.run_key)}))
                if found and found[0].status is not DagsterRunStatus.NOT_STARTED:
                    continue
                run = found[0] if found else self.run(
                    of.pipeline, partition, tags={**request.tags, RUN_KEY_TAG: str(request.run_key)}
                )  # fmt: skip
                if lost != "queue":
                    self.begin(run)
                made.append((of.pipeline.name, partition))
        if lost not in ("tick", "cursor"):
            self.memory = Memory.parse(str(done.memory))
        return made

    def look(self, watch: Watch) -> Evaluation:
        """What a tick would decide."""
        return evaluate(self.instance, self.memory, watch, self.files, now=self.now)

    def settle(self, watch: Watch) -> list[tuple[str, str]]:
        """Tick until nothing starts any more; every run that a tick makes succeeds at once."""
        made: list[tuple[str, str]] = []
        while started := self.tick(watch):
            made += started
            for name, partition in started:
                self.end_all(watch.triggers[name].pipeline, partition)
        return made

    def end_all(self, of: Parent, partition: str = UNPARTITIONED) -> None:
        """All runs of the partition that work succeed."""
        for run in self.runs_of(of, partition):
            if not run.is_finished:
                self.publish(run, of, partition)
                self.finish(run)

    def runs_of(self, of: Parent, partition: str = UNPARTITIONED) -> list[dg.DagsterRun]:
        runs = self.instance.get_runs(dg.RunsFilter(tags={"datalake/triggered": f"{of.name}|{partition}"}))
        return [run for run in runs if run.status is not DagsterRunStatus.NOT_STARTED]

    def _tell(self, run: dg.DagsterRun, kind: dg.DagsterEventType) -> None:
        self.instance.report_dagster_event(DagsterEvent(kind.value, job_name=run.job_name), run.run_id)

    def _job(self, of: Parent, assets: tuple[tuple[str, ...], ...]) -> dg.JobDefinition:
        found = self._jobs.get((of.name, *map("/".join, assets)))
        if found is None:
            keys = [dg.AssetKey(list(asset)) for asset in of.assets]
            calendar = of.calendar
            partitions = {
                "day": dg.DailyPartitionsDefinition(calendar.start.isoformat(), timezone=calendar.time_zone),
                "hour": dg.HourlyPartitionsDefinition(f"{calendar.start}-00:00", timezone=calendar.time_zone),
                None: None,
            }[calendar.every]

            @dg.multi_asset(
                name=f"make_{of.job}",
                specs=[dg.AssetSpec(key, skippable=True) for key in keys],
                can_subset=True,
                partitions_def=partitions,
                backfill_policy=dg.BackfillPolicy.single_run() if partitions else None,
            )
            def make(context: dg.AssetExecutionContext) -> Iterator[Any]:
                yield from ()

            selection = dg.AssetSelection.assets(*(dg.AssetKey(list(asset)) for asset in assets))
            job = dg.define_asset_job(of.job, selection=selection)
            found = dg.Definitions(assets=[make], jobs=[job]).resolve_job_def(of.job)
            self._jobs[of.name, *map("/".join, assets)] = found
        return found
