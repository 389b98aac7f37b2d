"""Switch up to a hundred partitions of one table to new versions: compare, then create or update."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from datalake_assets.accounts.aws_errors import platform_error
from datalake_assets.catalog.deadline import Deadline
from datalake_assets.catalog.manifest import Manifest
from datalake_assets.catalog.partitions import GluePartitions
from datalake_assets.catalog.published import Published, Switch, parameters_of, published_in
from datalake_assets.catalog.schema import CatalogColumn
from datalake_assets.catalog.storage import storage_descriptor
from datalake_assets.errors import ConcurrentChange, PlatformError
from datalake_assets.failpoints import failpoint


def switch_batch(
    partitions: GluePartitions,
    manifests: Sequence[Manifest],
    columns: Sequence[CatalogColumn],
    *,
    bucket: str,
    where: str,
    deadline: Deadline,
) -> dict[str, Switch]:
    """Let readers of each partition see the manifest's version, unless they see the same or a newer one.

    Between comparison and update another publisher can switch to a newer version, which this then replaces: whoever
    calls looks again afterwards (`settle`). A partition that was created here needs no such look.
    """
    after = {manifest.version.partition: Published.of(manifest, bucket) for manifest in manifests}
    wanted = {manifest.version.partition: _input(manifest, after, columns) for manifest in manifests}

    def current(keys: Sequence[str]) -> dict[str, Published | None]:
        found: dict[str, Published | None] = dict.fromkeys(keys)
        return found | {answer["Values"][0]: published_in(answer) for answer in partitions.get(keys)} if keys else {}

    def is_newer(now: Published | None, key: str) -> bool:
        return now is not None and now.version_id >= after[key].version_id

    def refusal(key: str, code: str, message: str) -> PlatformError:
        if code == "EntityNotFoundException":
            return ConcurrentChange("somebody dropped the partition meanwhile", where=f"{where} partition {key}")
        return platform_error(code, message, where=f"{where} partition {key}")

    try:
        seen = current(list(wanted))
        failpoint("publish.before_switch")
        # A partition that somebody else registered has no version of ours, so it may exist although nothing is
        # published: the create call tells.
        missing = [key for key in wanted if seen[key] is None]
        refused = partitions.create([wanted[key] for key in missing], deadline)
        existing = {key for key, (code, _) in refused.items() if code == "AlreadyExistsException"}
        # Created since we looked: look again before the update, for theirs may be the newer version.
        seen |= current(sorted(existing))
    except PlatformError as error:
        return dict.fromkeys(wanted, Switch(None, None, error))

    newer = {key for key, now in seen.items() if is_newer(now, key)}
    errors = {key: refusal(key, *refused[key]) for key in refused if key not in existing}
    created = set(missing) - set(refused)
    updates = [key for key in wanted if key not in newer and key not in created and key not in errors]
    try:
        refused = partitions.update([wanted[key] for key in updates], deadline)
        errors |= {key: refusal(key, *refused[key]) for key in refused}
    except PlatformError as error:
        errors |= dict.fromkeys(updates, error)

    def switch(key: str) -> Switch:
        if key in errors:
            return Switch(seen[key], seen[key], errors[key])
        return Switch(seen[key], seen[key] if key in newer else after[key], is_created=key in created)

    return {key: switch(key) for key in wanted}


def _input(manifest: Manifest, after: dict[str, Published], columns: Sequence[CatalogColumn]) -> dict[str, Any]:
    published = after[manifest.version.partition]
    return {
        "Values": [manifest.version.partition],
        # The table's columns, not the version's: Athena compares a partition's columns with the table's by place.
        "StorageDescriptor": storage_descriptor(published.location, (replace(each, comment="") for each in columns)),
        "Parameters": parameters_of(manifest, published),
    }
