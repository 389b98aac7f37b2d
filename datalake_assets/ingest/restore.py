"""Put an older version of a partition back: in the lake under a new version id, then in the warehouse."""

from collections.abc import Iterator

from datalake_assets.ingest.outcomes import Outcome
from datalake_assets.ingest.pipeline import Pipeline


def restore(pipeline: Pipeline, partition: str, *, to: str | None, reason: str, run_id: str) -> Iterator[Outcome]:
    """Make readers see an older version's rows again and yield what became of it: `Published`, then `Loaded`.

    The restored version is told as `Published` before it is loaded, with `restored_from` and the reason. The rows set
    aside and the arrival ledger stay as they are: the next change of the partition's files computes it anew.

    Args:
        to: the version to restore; None takes the newest kept one before the published one.
        reason: why, for people who look at the table later.

    Yields:
        `Failed` in place of either; a failed load is made up for by `load_behind`.
    """
    raise NotImplementedError
    yield
