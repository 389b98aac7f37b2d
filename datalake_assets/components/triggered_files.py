"""What triggers must know of raw files: whether a partition's are there, by the rules that its arrivals declare."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from datalake_assets.arrivals.readiness import NotYet, late_at, readiness
from datalake_assets.arrivals.sources import ArrivalSource
from datalake_assets.triggers.model import FilesState

if TYPE_CHECKING:
    from datalake_assets.arrivals.ledger import Ledger
    from datalake_assets.arrivals.partition_state import PartitionState


class LedgerFiles:
    """The raw files of pipelines, as the arrival ledger knows them; nothing connects before it is asked.

    Args:
        sources: by the pipelines' names, `location/pipeline`.
    """

    def __init__(self, sources: Mapping[str, ArrivalSource], ledger: "Ledger | None" = None) -> None:
        self._sources = dict(sources)
        self._ledger = ledger

    def states(self, wanted: Collection[tuple[str, str]], /) -> dict[tuple[str, str], FilesState]:
        """The state of the files of each (pipeline, partition); two queries for all of them.

        Raises:
            Unavailable: the database does not answer.
        """
        known = sorted(each for each in wanted if each[0] in self._sources)
        if not known:
            return {}
        by_id = {self._sources[pipeline].source_id: pipeline for pipeline, _ in known}
        partitions = sorted({partition for _, partition in known})
        states = {
            (by_id[state.source_id], state.partition): state
            for state in self._opened().states_of(sorted(by_id), partitions)
        }
        found = {each: states[each] for each in known if each in states}
        names = self._names(found)
        return {each: _files_state(state, self._sources[each[0]], names.get(each, ())) for each, state in found.items()}

    def unfinished(self, pipelines: Collection[str], /) -> list[tuple[str, str]]:
        """The (pipeline, partition) pairs whose files have changed and are not published."""
        by_id = {self._sources[each].source_id: each for each in sorted(pipelines) if each in self._sources}
        if not by_id:
            return []
        return [(by_id[state.source_id], state.partition) for state in self._opened().partition_states(sorted(by_id))]

    def _names(self, states: "Mapping[tuple[str, str], PartitionState]") -> dict[tuple[str, str], Sequence[str]]:
        """The objects' names of the partitions that wait for a list of files."""
        wanted: dict[str, list[str]] = defaultdict(list)
        for (pipeline, partition), state in states.items():
            if state.is_dirty and isinstance(self._sources[pipeline].conditions.files, tuple):
                wanted[pipeline].append(partition)
        return {
            (pipeline, partition): names
            for pipeline, partitions in wanted.items()
            for partition, names in self._opened().names_of(self._sources[pipeline].source_id, partitions).items()
        }

    def _opened(self) -> "Ledger":
        if self._ledger is None:
            from datalake_assets.arrivals.ledger import Ledger
            from datalake_assets.arrivals.queue import STATEMENT_SECONDS

            self._ledger = Ledger(statement_seconds=STATEMENT_SECONDS)
        return self._ledger


def _files_state(state: "PartitionState", source: ArrivalSource, names: Sequence[str]) -> FilesState:
    if not state.is_dirty:
        return FilesState(state.changed_seq, is_ready=state.objects > 0, published=state.published_seq)
    if state.objects == 0 and not state.is_published:
        return FilesState(0, reason="its files were deleted before a run has read them")
    late = late_at(state, source.rules)
    if late is not None and state.unpublished_since > late and not source.conditions.reruns_late_files:
        # People decide about these: for the trigger, the files are those that were published.
        return FilesState(state.published_seq, is_ready=True, published=state.published_seq)
    found = readiness(state, source.rules, state.read_at, names)
    if isinstance(found, NotYet):
        until = found.until.timestamp() if found.until else None
        return FilesState(state.changed_seq, reason=found.reason, until=until, published=state.published_seq)
    return FilesState(state.changed_seq, is_ready=True, reason=found.note, published=state.published_seq)
