"""Where all pipelines of all accounts stand: last outcome, freshness, what each waits for and since when.

Declarations say what should be, Dagster's storage and the arrival ledger what is. The number of queries grows with
accounts, not with pipelines.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.components.declarations import AnyDeclaration
from datalake_assets.components.overview.arrivals import Arrivals, LedgerArrivals
from datalake_assets.components.overview.declared import Declared
from datalake_assets.components.overview.expectations import Freshness
from datalake_assets.components.overview.runs import GOING, Outcome, RunTold, last_runs, made_at, newest_events
from datalake_assets.components.overview.waits import find_waits
from datalake_assets.project import LOCATIONS_FOLDER

if TYPE_CHECKING:
    import dagster as dg

# A run takes its time, and so do those before it: only what is missing for longer is late.
LATE_AFTER_SECONDS = 900.0


@dataclass(frozen=True)
class PipelineStatus:
    """Where one pipeline stands.

    Args:
        pipeline: `location/name`.
        account: twelve-digit id of the location's account.
        outcome: of the newest run, None if there was none; `partition` is what it was for (`first..last` of a range).
        run_id, at: of that run, and when it came to its outcome.
        made_at: when its data was last made, by whichever run.
        due: the newest partition that should be there by the pipeline's own times, or by those of what it waits for.
        due_at: since when.
        late_since: since when the oldest missing one should be there, None if nothing is late.
        missing: how many partitions are missing in a row up to the newest due one.
        next, next_at: the partition that is expected next, and when.
        waiting: the partition that waits, None if none does.
        waits_for: what is missing, in words.
        waiting_since: when the first of what it needs was there; if nothing is, when it should have run.
    """

    pipeline: str
    account: str
    owner: str
    outcome: Outcome | None = None
    partition: str | None = None
    run_id: str | None = None
    at: dt.datetime | None = None
    made_at: dt.datetime | None = None
    due: str | None = None
    due_at: dt.datetime | None = None
    late_since: dt.datetime | None = None
    missing: int = 0
    next: str | None = None
    next_at: dt.datetime | None = None
    waiting: str | None = None
    waits_for: tuple[str, ...] = ()
    waiting_since: dt.datetime | None = None

    @property
    def location(self) -> str:
        return self.pipeline.partition("/")[0]

    @property
    def has_failed(self) -> bool:
        """Whether its newest run ended without success."""
        return self.outcome in ("FAILED", "TIMED_OUT", "ABORTED")

    @property
    def is_late(self) -> bool:
        return self.late_since is not None

    @property
    def is_waiting(self) -> bool:
        return bool(self.waits_for)


def status(
    *names: str,
    instance: "dg.DagsterInstance | None" = None,
    folder: Path = LOCATIONS_FOLDER,
    now: float | None = None,
    arrivals: Arrivals | None = None,
) -> list[PipelineStatus]:
    """Return where pipelines stand, by name.

    Args:
        names: accounts (location or twelve-digit id) or pipelines; all pipelines without.
        instance: Dagster's, by default that of `DAGSTER_HOME`.
        now: seconds of the epoch; the triggers' clock without it.
        arrivals: whom to ask about raw files; the arrival ledger without it.

    Raises:
        ConfigurationError: a name is unknown, or a declaration has mistakes.
        Unavailable: a database does not answer.
    """
    from datalake_assets.triggers import clock

    declared = Declared.read(folder)
    wanted = declared.find(names)
    moment = clock.now() if now is None else now
    asked = arrivals or LedgerArrivals()
    if instance is not None:
        return _statuses(instance, declared, wanted, moment, asked)
    import dagster as dg

    with dg.DagsterInstance.get() as own:
        return _statuses(own, declared, wanted, moment, asked)


def _statuses(
    instance: "dg.DagsterInstance", declared: Declared, wanted: Sequence[str], now: float, arrivals: Arrivals
) -> list[PipelineStatus]:
    from datalake_assets.accounts.registry import registry

    specs = {name: declared.pipelines[name] for name in wanted}
    assets = {name: each.spec.assets(each.location) for name, each in specs.items()}
    runs = last_runs(instance, assets)
    there, newest = _materialized(instance, declared, wanted, now)
    fresh = {name: _freshness(declared, name, there[name], newest.get(name), runs.get(name), now) for name in wanted}
    waits = find_waits(instance, declared, {name: (fresh[name], there[name]) for name in wanted}, now, arrivals)
    found = []
    for name in wanted:
        run, freshness, wait = runs.get(name), fresh[name], waits.get(name)
        found.append(
            PipelineStatus(
                pipeline=name,
                account=registry().account(specs[name].location).id,
                owner=specs[name].spec.owner,
                outcome=run.outcome if run else None,
                partition=run.partitions if run else None,
                run_id=run.run_id if run else None,
                at=run.at if run else None,
                made_at=_moment(newest.get(name)),
                due=freshness.due,
                due_at=_moment(freshness.due_at),
                late_since=_moment(freshness.late_since),
                missing=freshness.missing,
                next=freshness.next,
                next_at=_moment(freshness.next_at),
                waiting=wait.partition if wait else None,
                waits_for=wait.waits_for if wait else (),
                waiting_since=_moment(wait.since) if wait else None,
            )
        )
    return found


def _materialized(
    instance: "dg.DagsterInstance", declared: Declared, wanted: Sequence[str], now: float
) -> tuple[dict[str, set[str]], dict[str, float]]:
    """Which recent partitions of each pipeline are there, and when the newest of all its data was made."""
    from datalake_assets.eventlog.headlines import MATERIALIZATION, asset_text
    from datalake_assets.eventlog.lookups import newest_materializations

    texts = {asset_text(_completion(declared.pipelines[name])): name for name in wanted}
    recent = {
        (text, partition) for text, name in texts.items() for partition in declared.expectations.recent(name, now)
    }
    there: dict[str, set[str]] = {name: set() for name in wanted}
    for text, partition in newest_materializations(instance, recent):
        if partition is not None:
            there[texts[text]].add(partition)
    ids = newest_events(instance, texts.keys(), MATERIALIZATION)
    at = made_at(instance, ids.values())
    return there, {texts[text]: at[storage_id] for text, storage_id in ids.items()}


def _freshness(
    declared: Declared, name: str, there: set[str], newest_at: float | None, run: RunTold | None, now: float
) -> Freshness:
    expectations = declared.expectations
    if declared.pipelines[name].spec.calendar().every is None:
        found = expectations.freshness_as_a_whole(name, newest_at, now)
    else:
        found = expectations.freshness(name, there, now)
    if found.late_since is None:
        return found
    is_at_work = run is not None and run.outcome in GOING and found.missing == 1 and run.partitions == found.due
    if is_at_work or now - found.late_since < LATE_AFTER_SECONDS:
        return Freshness(found.due, found.due_at, None, found.missing, found.next, found.next_at)
    return found


def _completion(declared: AnyDeclaration) -> tuple[str, ...]:
    return declared.spec.assets(declared.location)[-1]


def _moment(seconds: float | None) -> dt.datetime | None:
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)
