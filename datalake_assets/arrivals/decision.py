"""What is to be done for dirty partitions now: the sensor acts on it, and the report tells it."""

from collections.abc import Callable, Mapping, Sequence

from datalake_assets.arrivals.conditions import SourceRules
from datalake_assets.arrivals.ledger import Ledger
from datalake_assets.arrivals.partition_state import PartitionState
from datalake_assets.arrivals.requests import Decision, Recent, RunState, runs_to_request


def decide(
    ledger: Ledger,
    dirty: Sequence[PartitionState],
    rules: Mapping[str, SourceRules],
    run_states: Callable[[Sequence[str]], Mapping[str, RunState]],
) -> Decision:
    """Read what `runs_to_request` needs to know beside the dirty partitions, and ask it.

    Args:
        run_states: what became of the runs with these keys.
    """
    if not dirty:
        return Decision((), ())
    sources = sorted({state.source_id for state in dirty})
    names: dict[tuple[str, str], Sequence[str]] = {}
    for source_id in sources:
        if isinstance(rules[source_id].conditions.files, tuple):
            partitions = [state.partition for state in dirty if state.source_id == source_id]
            found = ledger.names_of(source_id, partitions)
            names |= {(source_id, partition): found[partition] for partition in partitions}
    runs = run_states([state.run_key for state in dirty if state.run_key])
    now = max(state.read_at for state in dirty)
    return runs_to_request(dirty, runs, now, rules, Recent(ledger.recent_runs(sources), names))
