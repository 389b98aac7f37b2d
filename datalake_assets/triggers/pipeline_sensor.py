"""The trigger sensor of a location: from news of all locations, and from the clock, to requested runs.

A tick reads what happened since the last one, works out which partitions of the location's pipelines that may concern,
gathers the facts about them and lets `rules.decide` decide on each. Where nothing happened, that is one query for the
highest number in the event log; as the daemon comes round every five seconds only, a tick then goes on looking until it
comes again, so that a run follows its parent within a second.

Nothing but the runs themselves remembers what was started: a tick that is repeated, by a daemon that was killed or by a
second one, arrives at the same run keys, and Dagster starts one run for each.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import dagster as dg

from datalake_assets.errors import ConfigurationError, TransientError
from datalake_assets.eventlog.headlines import Headlines, read_headlines
from datalake_assets.eventlog.lookups import touched_by
from datalake_assets.names import identifier
from datalake_assets.triggers import clock
from datalake_assets.triggers.explained import told
from datalake_assets.triggers.facts import gather
from datalake_assets.triggers.memory import Memory
from datalake_assets.triggers.model import Decision, FilesState, PipelineTrigger, Start, Wait
from datalake_assets.triggers.rules import decide
from datalake_assets.triggers.tags import start_tags
from datalake_assets.triggers.watch import Candidate, Watch

# Both daemon loops look every 5 s: any interval up to that means every loop, and 5 itself often means every second one.
MINIMUM_INTERVAL_SECONDS = 1
# The tick is over before the daemon's next turn, or it would miss that one.
HOLD_SECONDS = 4.0
POLL_SECONDS = 0.5
LOOK_BACK_SECONDS = 24 * 3600.0
NEWS_PER_TICK = 5_000
# Decided on in one tick, and started by it: the others come with the next one. Dagster ends a tick after 60 s, and
# makes some ten runs a second.
CANDIDATES_PER_TICK = 1_000
STARTS_PER_TICK = 100
# So long after it was requested, a run must be there; if it is not, it is requested again, under the same key.
LOST_AFTER_SECONDS = 60.0
FILES_AGAIN_SECONDS = 30.0
MAX_TOLD = 10


class Files(Protocol):
    """What has become of the raw files of pipelines."""

    def states(self, wanted: Collection[Candidate], /) -> Mapping[Candidate, FilesState]:
        """The state of the files of each partition."""
        ...

    def unfinished(self, pipelines: Collection[str], /) -> Collection[Candidate]:
        """The partitions whose files have changed and are not published."""
        ...


class NoFiles:
    """For a location whose pipelines have no raw files."""

    def states(self, _wanted: Collection[Candidate], /) -> Mapping[Candidate, FilesState]:
        return {}

    def unfinished(self, _pipelines: Collection[str], /) -> Collection[Candidate]:
        return ()


@dataclass(frozen=True)
class Decided:
    """What was decided on one partition."""

    trigger: PipelineTrigger
    partition: str
    decision: Decision

    @property
    def sentence(self) -> str:
        return told(self.trigger, self.partition, self.decision)


@dataclass(frozen=True)
class Evaluation:
    """A tick: what was decided, and what to remember."""

    decided: Sequence[Decided]
    memory: Memory
    warnings: Sequence[str] = ()
    has_more: bool = False  # news that are there and were not read yet

    @property
    def starts(self) -> list[tuple[PipelineTrigger, str, Start]]:
        return [
            (each.trigger, each.partition, each.decision) for each in self.decided if isinstance(each.decision, Start)
        ]


def build_pipeline_sensor(
    location: str,
    triggers: Sequence[PipelineTrigger],
    *,
    jobs: Sequence[Any],
    files: Files | None = None,
    hold_seconds: float = 0.0,
    minimum_interval_seconds: int = MINIMUM_INTERVAL_SECONDS,
) -> dg.SensorDefinition:
    """Build the one trigger sensor of a location, running by default.

    Args:
        triggers: of the location's pipelines.
        jobs: the jobs that the triggers name, and perhaps others.
        files: what has become of the raw files; needed if a trigger has any.
        hold_seconds: how long a tick that finds nothing to start goes on looking.

    Raises:
        ConfigurationError: a trigger has no job, or two start the same pipeline.
    """
    watch = Watch(triggers)
    named = {job.name: job for job in jobs}
    if missing := sorted(each.pipeline.job for each in triggers if each.pipeline.job not in named):
        raise ConfigurationError(
            f"the trigger sensor has no job {', '.join(missing)}",
            where=f"location {location}",
            expected=f"one of {', '.join(sorted(named)) or 'none given'}",
        )

    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        done = _hold(context.instance, Memory.parse(context.cursor), watch, files or NoFiles(), hold_seconds)
        for warning in done.warnings:
            context.log.warning(warning)
        if done.starts:
            for each in done.decided:
                if isinstance(each.decision, Start | Wait):
                    context.log.info(each.sentence)
        return dg.SensorResult(
            run_requests=[_run_request(*start) for start in done.starts],
            skip_reason=None if done.starts else _summary(done.decided),
            cursor=str(done.memory),
        )

    return dg.SensorDefinition(
        name=f"{identifier(location, what='location')}_triggers",
        evaluation_fn=tick,
        jobs=[named[name] for name in dict.fromkeys(each.pipeline.job for each in triggers)],
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Starts the pipelines of {location} by schedules and by what became of other pipelines.",
    )


def evaluate(
    instance: dg.DagsterInstance, memory: Memory, watch: Watch, files: Files, *, now: float | None = None
) -> Evaluation:
    """Read the news, decide on what they concern, and return what was decided; change nothing.

    Args:
        now: seconds of the epoch; the triggers' clock without it.
    """
    # As exact as the cursor keeps it: the next tick goes on exactly where this one ended.
    moment = round(clock.now() if now is None else now, 3)
    new = [name for name, each in watch.prints.items() if each not in memory.known]
    news = read_headlines(
        instance, memory.tail, again=bool(new), limit=NEWS_PER_TICK, look_back_seconds=LOOK_BACK_SECONDS
    )
    since = memory.clock
    if new:
        since = min(memory.clock or moment, moment - LOOK_BACK_SECONDS)
    candidates = dict.fromkeys(
        [
            *(each for each, until in memory.wake.items() if until <= moment and each[0] in watch.triggers),
            *_after_news(instance, watch, news, moment),
            *watch.due(since, max(since, moment)),
        ]
    )
    warnings: list[str] = []
    if new and (pipelines := [name for name in new if watch.triggers[name].raw_asset is not None]):
        candidates |= dict.fromkeys(files.unfinished(pipelines))
    asked = [each for each in candidates if _has_partition(watch, each)]
    decided, wake = _decide(instance, watch, asked, files, moment, warnings)
    kept = {each: until for each, until in memory.wake.items() if each not in candidates and each[0] in watch.triggers}
    return Evaluation(
        decided,
        Memory(news.cursor, max(since, moment), frozenset(watch.prints.values()), {**kept, **wake}),
        warnings,
        news.has_more,
    )


def _hold(instance: dg.DagsterInstance, memory: Memory, watch: Watch, files: Files, seconds: float) -> Evaluation:
    """Evaluate until there is something to start, or the time is over."""
    until = time.monotonic() + seconds
    decided: list[Decided] = []
    while True:
        done = evaluate(instance, memory, watch, files)
        decided += done.decided
        if done.starts or done.warnings or time.monotonic() >= until:
            return replace(done, decided=decided)
        memory = done.memory
        if not done.has_more:
            time.sleep(POLL_SECONDS)


def _after_news(instance: dg.DagsterInstance, watch: Watch, news: Headlines, now: float) -> list[Candidate]:
    if not news.events:
        return []
    runs = watch.runs_among(news.events)
    touched = touched_by(instance, runs, watch.run_assets) if runs else []
    return watch.after_news(news.events, touched, now)


def _has_partition(watch: Watch, candidate: Candidate) -> bool:
    """Whether the pipeline has such a partition: events and cursors may name what its declaration no longer has."""
    return watch.triggers[candidate[0]].pipeline.calendar.has(candidate[1])


def _decide(
    instance: dg.DagsterInstance,
    watch: Watch,
    candidates: Sequence[Candidate],
    files: Files,
    now: float,
    warnings: list[str],
) -> tuple[list[Decided], dict[Candidate, float]]:
    """Decide on as many as a tick has time for; also return which to look at again, and when."""
    wake = dict.fromkeys(candidates[CANDIDATES_PER_TICK:], now)
    candidates = candidates[:CANDIDATES_PER_TICK]
    states: Mapping[Candidate, FilesState] = {}
    if with_files := [each for each in candidates if watch.triggers[each[0]].raw_asset is not None]:
        try:
            states = files.states(with_files)
        except TransientError as error:
            # What needs no files goes on.
            warnings.append(f"{len(with_files)} partitions with files are decided on later: {error}")
            wake |= dict.fromkeys(with_files, now + FILES_AGAIN_SECONDS)
            candidates = [each for each in candidates if each not in wake]
    if not candidates:
        return [], wake
    asked = [
        (trigger := watch.triggers[name], partition, _files_of(trigger, states.get((name, partition))))
        for name, partition in candidates
    ]
    decided: list[Decided] = []
    starts = 0
    for (trigger, partition, _), gathered in zip(asked, gather(instance, asked, now), strict=True):
        candidate = trigger.pipeline.name, partition
        decision = decide(trigger, partition, gathered.facts)
        moments = [now + gathered.stale_in] if gathered.stale_in is not None else []
        if isinstance(decision, Start):
            if starts == STARTS_PER_TICK:
                wake[candidate] = now
                continue
            starts += 1
            moments.append(now + LOST_AFTER_SECONDS)
        elif isinstance(decision, Wait) and decision.until is not None:
            moments.append(max(decision.until, now + 1.0))
        if moments:
            wake[candidate] = min(moments)
        decided.append(Decided(trigger, partition, decision))
    return decided, wake


def _files_of(trigger: PipelineTrigger, state: FilesState | None) -> FilesState | None:
    return None if trigger.raw_asset is None else state or FilesState()


def _run_request(trigger: PipelineTrigger, partition: str, start: Start) -> dg.RunRequest:
    # The partition as a tag: Dagster would look up the partition's place among all of its calendar for each request.
    return dg.RunRequest(
        run_key=start.run_key,
        job_name=trigger.pipeline.job,
        tags=start_tags(trigger.pipeline.name, partition, start),
    )


def _summary(decided: Sequence[Decided]) -> str:
    """The tick's line in the UI."""
    waiting = [each for each in decided if isinstance(each.decision, Wait)]
    if not waiting:
        return f"{len(decided)} partitions were looked at, nothing to start" if decided else "no news"
    lines = [each.sentence for each in waiting[:MAX_TOLD]]
    if len(waiting) > MAX_TOLD:
        lines.append(f"and {len(waiting) - MAX_TOLD} more wait")
    return "; ".join(lines)
