"""What an overview asks about raw files: of the arrival ledger, or of whatever stands for it."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from datalake_assets.components.declarations import AnyDeclaration, Declaration
from datalake_assets.components.lake_pipeline import build_arrival_source
from datalake_assets.components.triggered_files import LedgerFiles
from datalake_assets.triggers.model import FilesState

if TYPE_CHECKING:
    import dagster as dg

    from datalake_assets.arrivals.requests import RunState


@dataclass(frozen=True)
class WaitTold:
    """A partition that waits.

    Args:
        waits_for: each thing that is missing, in words.
        since: in seconds of the epoch: when the first of what it needs was there, or when it should have run.
    """

    partition: str
    waits_for: tuple[str, ...]
    since: float | None


class Arrivals(Protocol):
    """What has become of raw files."""

    def states(
        self, pipelines: Mapping[str, AnyDeclaration], wanted: Collection[tuple[str, str]]
    ) -> dict[tuple[str, str], FilesState]:
        """The state of the files of (pipeline, partition) pairs; left out are those that have none."""
        ...

    def waiting(self, instance: "dg.DagsterInstance", declared: Sequence[AnyDeclaration]) -> dict[str, WaitTold]:
        """Of the pipelines that the arrival of files alone starts: the partition that has waited longest."""
        ...

    def explained(self, instance: "dg.DagsterInstance", declared: Declaration, partition: str) -> tuple[bool, str]:
        """Whether a partition of such a pipeline waits, and for what, or why it does not, in words."""
        ...


class LedgerArrivals:
    """The arrival ledger of the platform's database; each question asks anew.

    Raises:
        Unavailable, ConfigurationError: the database, at every question.
    """

    def states(
        self, pipelines: Mapping[str, AnyDeclaration], wanted: Collection[tuple[str, str]]
    ) -> dict[tuple[str, str], FilesState]:
        """As `Arrivals.states`."""
        sources = {
            name: build_arrival_source(each.location, each.spec)
            for name in dict.fromkeys(name for name, _ in wanted)
            if isinstance(each := pipelines[name], Declaration)
        }
        return LedgerFiles(sources).states(list(wanted)) if sources else {}

    def waiting(self, instance: "dg.DagsterInstance", declared: Sequence[AnyDeclaration]) -> dict[str, WaitTold]:
        """As `Arrivals.waiting`."""
        from datalake_assets.arrivals.ledger import Ledger
        from datalake_assets.arrivals.report import arrival_report

        by_location: dict[str, list[Declaration]] = defaultdict(list)
        for each in declared:
            if isinstance(each, Declaration) and not each.spec.trigger.waits_for_more:
                by_location[each.location].append(each)
        found: dict[str, WaitTold] = {}
        ledger = Ledger() if by_location else None
        for location, pipelines in by_location.items():
            sources = [build_arrival_source(location, each.spec) for each in pipelines]
            report = arrival_report(location, sources, ledger=ledger, run_states=_RunStates(instance), most_waiting=1)
            for table in report.tables:
                for waiting in table.waiting:
                    others = table.dirty_partitions - 1
                    more = (f"{others:,} more of its partitions wait",) if others else ()
                    since = None if table.lag_seconds is None else report.read_at.timestamp() - table.lag_seconds
                    found[table.source_id] = WaitTold(waiting.partition, (waiting.reason, *more), since)
        return found

    def explained(self, instance: "dg.DagsterInstance", declared: Declaration, partition: str) -> tuple[bool, str]:
        """As `Arrivals.explained`."""
        from datalake_assets.components.arriving import explain
        from datalake_assets.components.pipelines import DeclaredPipeline

        found = explain(DeclaredPipeline(declared.location, declared.spec), partition, _RunStates(instance))
        return found.state is None or found.state.is_dirty, found.decision


class _RunStates:
    """What became of the runs that arrivals have requested."""

    def __init__(self, instance: "dg.DagsterInstance") -> None:
        self._instance = instance

    def __call__(self, run_keys: Sequence[str]) -> "Mapping[str, RunState]":
        from datalake_assets.arrivals.sensor import run_states

        return run_states(self._instance, run_keys)
