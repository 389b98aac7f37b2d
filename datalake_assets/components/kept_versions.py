"""How many versions each partition of a pipeline's lake table has, and which of them readers see."""

from collections import Counter
from dataclasses import dataclass

from datalake_assets.components.pipelines import DeclaredPipeline


@dataclass(frozen=True)
class PartitionVersions:
    """One partition: the published version with its rows, and the number of versions by what they are."""

    partition: str
    published_version: str | None
    rows: int | None
    versions: int
    rejected: int
    expiring: int


def partition_versions(declared: DeclaredPipeline) -> list[PartitionVersions]:
    """All partitions that have a manifest, in their order; one listing, and one Glue call for each thousand of them.

    Raises:
        ConfigurationError: the table is not in the catalog yet.
        Unavailable, AccessDenied: S3 or Glue does not answer.
    """
    from datalake_assets.accounts.aws_errors import aws_errors
    from datalake_assets.accounts.sessions import session
    from datalake_assets.catalog.glue import GlueTable
    from datalake_assets.catalog.layout import Kind, manifests_prefix, place_of

    account = session(declared.location)
    table = GlueTable(account, declared.pipeline.name)
    prefix = manifests_prefix(table.name)
    counts: dict[str, Counter[Kind]] = {}
    with aws_errors(f"s3://{table.bucket}/{prefix}"):
        pages = account.client("s3").get_paginator("list_objects_v2").paginate(Bucket=table.bucket, Prefix=prefix)
        for page in pages:
            for item in page.get("Contents", []):
                if place := place_of(table.name, item["Key"]):
                    counts.setdefault(place.partition, Counter())[place.kind] += 1
    published = table.current_many(sorted(counts))
    return [
        PartitionVersions(
            partition=partition,
            published_version=now.version_id if (now := published[partition]) else None,
            rows=now.row_count if now else None,
            versions=kinds[Kind.MANIFEST] + kinds[Kind.REJECTED],
            rejected=kinds[Kind.REJECTED],
            expiring=kinds[Kind.EXPIRED],
        )
        for partition, kinds in sorted(counts.items())
    ]
