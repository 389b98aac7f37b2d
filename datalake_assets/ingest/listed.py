"""What a partition is made of at this moment: raw objects that are listed, or versions of other tables."""

from dataclasses import dataclass

from datalake_assets.accounts.sessions import AccountSession
from datalake_assets.arrivals.listing import list_partition
from datalake_assets.arrivals.sources import RawObject
from datalake_assets.catalog.manifest import RawInput
from datalake_assets.ingest.derivation import Snapshot
from datalake_assets.ingest.pipeline import Pipeline


@dataclass(frozen=True)
class Listed:
    """The inputs of one partition.

    Attributes:
        objects: the raw ones, as the arrival ledger is told of them; none for a table that is made of others.
        snapshot: for such a table, what will be read.
    """

    inputs: tuple[RawInput, ...]
    objects: tuple[RawObject, ...] = ()
    snapshot: Snapshot | None = None

    def is_same(self, inputs: tuple[RawInput, ...]) -> bool:
        """Whether a version was made of just that."""
        return {(each.key, each.etag) for each in self.inputs} == {(each.key, each.etag) for each in inputs}


def list_inputs(pipeline: Pipeline, account: AccountSession, partition: str) -> Listed:
    """List a partition's raw objects, or look up the versions that it is made of.

    Raises:
        NoObjects: a table that is made of others lacks one of them. A partition without raw objects is an empty list.
        AccessDenied, TransientError: S3 or the catalog.
    """
    if pipeline.derivation is not None:
        snapshot = pipeline.derivation.snapshot(partition)
        return Listed(snapshot.inputs, snapshot=snapshot)
    bucket = account.account.raw_bucket
    objects = tuple(list_partition(account.client("s3"), bucket, pipeline.patterns, partition, marker=pipeline.marker))
    return Listed(tuple(RawInput(raw.key, raw.etag, raw.size, raw.version_id) for raw in objects), objects)
