"""Why a partition ran, or what it waits for, down to the pipeline that keeps all others waiting."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from datalake_assets.components.declarations import AnyDeclaration, Declaration
from datalake_assets.components.overview.arrivals import Arrivals, LedgerArrivals
from datalake_assets.components.overview.declared import Declared
from datalake_assets.components.overview.runs import RunTold, made_at, runs_of
from datalake_assets.errors import ConfigurationError
from datalake_assets.names import UNPARTITIONED
from datalake_assets.project import LOCATIONS_FOLDER
from datalake_assets.triggers.calendars import instant
from datalake_assets.triggers.model import Missing, Start, Wait

if TYPE_CHECKING:
    import dagster as dg

    from datalake_assets.triggers.why import Explained

MAX_CAUSES = 20
MAX_DEPTH = 10

Verdict = Literal["starts", "waits", "done"]


@dataclass(frozen=True)
class Cause:
    """A pipeline that another one waits for, and where it stands itself.

    Args:
        depth: 0 for what the partition in question waits for itself, 1 for what that one waits for.
        told: what becomes of it, in words.
        run: its newest run for the partition, None if there was none.
    """

    pipeline: str
    partition: str
    owner: str
    depth: int
    told: str
    run: RunTold | None


@dataclass(frozen=True)
class Why:
    """All about one partition.

    Args:
        partition: `UNPARTITIONED` (empty) for a pipeline without partitions.
        rule: when the pipeline runs, in words.
        verdict: what its trigger would decide now.
        told: the same as a sentence.
        missing: what it waits for.
        causes: the pipelines that it waits for, each followed by those that they wait for.
        made_at: when its data was made, None if it is not there.
        runs: the newest first.
    """

    pipeline: str
    partition: str
    owner: str
    rule: str
    verdict: Verdict
    told: str
    missing: tuple[Missing, ...] = ()
    causes: tuple[Cause, ...] = ()
    made_at: dt.datetime | None = None
    runs: tuple[RunTold, ...] = ()

    @property
    def label(self) -> str:
        """`rent_journey/pipeline_x 2026-11-20`."""
        return f"{self.pipeline} {self.partition}".rstrip()


def why(
    pipeline: str,
    partition: str | None = None,
    *,
    instance: "dg.DagsterInstance | None" = None,
    folder: Path = LOCATIONS_FOLDER,
    now: float | None = None,
    arrivals: Arrivals | None = None,
) -> Why:
    """Explain one partition of a pipeline; change nothing.

    Args:
        pipeline: `location/name`.
        partition: its key; the newest one that is over without.
        instance: Dagster's, by default that of `DAGSTER_HOME`.
        now: seconds of the epoch; the triggers' clock without it.
        arrivals: whom to ask about raw files; the arrival ledger without it.

    Raises:
        ConfigurationError: there is no such pipeline or partition, or a declaration has mistakes.
        Unavailable: a database does not answer.
    """
    from datalake_assets.triggers import clock

    declared = Declared.read(folder)
    found = declared.pipeline(pipeline)
    moment = clock.now() if now is None else now
    key = _partition(found, partition, moment)
    asked = arrivals or LedgerArrivals()
    if instance is not None:
        return _Explaining(instance, declared, asked, moment).why(found, key)
    import dagster as dg

    with dg.DagsterInstance.get() as own:
        return _Explaining(own, declared, asked, moment).why(found, key)


def _partition(declared: AnyDeclaration, text: str | None, now: float) -> str:
    calendar = declared.spec.calendar()
    if calendar.every is None:
        if text:
            raise ConfigurationError(
                f"{declared.name} has no partitions, so {text!r} is none of them", todo="Leave the partition away"
            )
        return UNPARTITIONED
    key = text or calendar.newest_over(instant(now)) or calendar.overlapping(calendar.begin, instant(now))[0]
    if not calendar.has(key):
        first = calendar.overlapping(calendar.begin, calendar.begin + dt.timedelta(microseconds=1))[0]
        end = f" to before {calendar.end}" if calendar.end else ""
        raise ConfigurationError(
            f"{declared.name} has no partition {key!r}", expected=f"one from {first}{end}, in that form"
        )
    return key


@dataclass(frozen=True)
class _Explaining:
    """Whom to ask, and when."""

    instance: "dg.DagsterInstance"
    declared: Declared
    arrivals: Arrivals
    now: float

    def why(self, found: AnyDeclaration, partition: str) -> Why:
        runs = tuple(runs_of(self.instance, found.spec.assets(found.location), partition))
        data_at = _data_at(self.instance, found, partition)
        trigger = self.declared.triggers.get(found.name)
        if trigger is None:
            rule, waits, told = self._untriggered(found, partition)
            verdict: Verdict = "waits" if waits else "done"
            return Why(found.name, partition, found.spec.owner, rule, verdict, told, made_at=data_at, runs=runs)
        from datalake_assets.triggers.explained import rule_in_words

        [explained] = self._explain([(found.name, partition)])
        decision = explained.decision
        return Why(
            pipeline=found.name,
            partition=partition,
            owner=found.spec.owner,
            rule=rule_in_words(trigger),
            verdict="starts" if isinstance(decision, Start) else "waits" if isinstance(decision, Wait) else "done",
            told=self._sentence(explained),
            missing=decision.missing if isinstance(decision, Wait) else (),
            causes=tuple(self._causes(explained)),
            made_at=data_at,
            runs=runs,
        )

    def _explain(self, asked: Sequence[tuple[str, str]]) -> "list[Explained]":
        from datalake_assets.triggers.why import explain_all

        files = self.arrivals.states(self.declared.pipelines, asked)
        questions = [(self.declared.triggers[name], key, files.get((name, key))) for name, key in asked]
        return explain_all(self.instance, questions, now=self.now)

    def _sentence(self, explained: "Explained") -> str:
        from datalake_assets.triggers.explained import told

        return told(self.declared.triggers[explained.pipeline], explained.partition, explained.decision)

    def _causes(self, explained: "Explained") -> list[Cause]:
        """Follow what is missing from pipeline to pipeline, each once, with one round of questions for each step."""
        waited_for: dict[tuple[str, str], list[tuple[str, str]]] = {}
        told: dict[tuple[str, str], Cause] = {}
        start = explained.pipeline, explained.partition
        level = [explained]
        for depth in range(MAX_DEPTH):
            asked: list[tuple[str, str]] = []
            for each in level:
                waited_for[each.pipeline, each.partition] = pairs = _waited_for(each)
                asked += [pair for pair in pairs if pair not in told and pair not in asked and pair != start]
            asked = asked[: MAX_CAUSES - len(told)]
            if not asked:
                break
            triggered = [pair for pair in asked if pair[0] in self.declared.triggers]
            level = self._explain(triggered) if triggered else []
            sentences = {(each.pipeline, each.partition): self._sentence(each) for each in level}
            for name, partition in asked:
                told[name, partition] = self._cause(name, partition, depth, sentences.get((name, partition)))
        return _in_order(start, waited_for, told)

    def _cause(self, name: str, partition: str, depth: int, sentence: str | None) -> Cause:
        declared = self.declared.pipelines[name]
        runs = runs_of(self.instance, declared.spec.assets(declared.location), partition)
        told = sentence if sentence is not None else self._untriggered(declared, partition)[2]
        return Cause(name, partition, declared.spec.owner, depth, told, runs[0] if runs else None)

    def _untriggered(self, declared: AnyDeclaration, partition: str) -> tuple[str, bool, str]:
        """Rule, whether it waits, and sentence of a pipeline that the arrival of files alone starts, or people."""
        label = f"{declared.name} {partition}".rstrip()
        if not isinstance(declared, Declaration):
            return "when a person starts it", False, f"{label} is started by people alone"
        waits, what = self.arrivals.explained(self.instance, declared, partition)
        joined = f"{label} {what}" if what.startswith("waits") else f"{label}: {what}"
        return "when its files have arrived", waits, joined


def _waited_for(explained: "Explained") -> list[tuple[str, str]]:
    decision = explained.decision
    missing = decision.missing if isinstance(decision, Wait) else ()
    return [(each.parent, key) for each in missing if each.parent for key in each.partitions or (UNPARTITIONED,)]


def _in_order(
    start: tuple[str, str],
    waited_for: dict[tuple[str, str], list[tuple[str, str]]],
    told: dict[tuple[str, str], Cause],
) -> list[Cause]:
    """Each cause right behind the first one that waits for it."""
    found: dict[tuple[str, str], Cause] = {}
    todo = list(reversed(waited_for.get(start, [])))
    while todo:
        place = todo.pop()
        if place in told and place not in found:
            found[place] = told[place]
            todo += reversed(waited_for.get(place, []))
    return list(found.values())


def _data_at(instance: "dg.DagsterInstance", declared: AnyDeclaration, partition: str) -> dt.datetime | None:
    from datalake_assets.eventlog.headlines import asset_text
    from datalake_assets.eventlog.lookups import newest_materializations

    text = asset_text(declared.spec.assets(declared.location)[-1])
    ids = newest_materializations(instance, [(text, None if partition == UNPARTITIONED else partition)])
    at = made_at(instance, ids.values())
    return dt.datetime.fromtimestamp(max(at.values()), dt.UTC) if at else None
