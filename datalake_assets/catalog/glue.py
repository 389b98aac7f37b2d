"""A table in the Glue catalog: its schema, and the location of each of its partitions.

Glue changes one table or one partition atomically, several partitions one after another. Tables have an optimistic
lock, which merges schema changes and decides races of unpartitioned tables. Partitions have none: the newer version
wins by a comparison right before the write, which leaves a gap of one call.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from datalake_assets.accounts.aws_errors import aws_errors, platform_error
from datalake_assets.accounts.sessions import AccountSession
from datalake_assets.catalog.manifest import Manifest
from datalake_assets.catalog.partitions import READ_BATCH, WRITE_BATCH, GluePartitions, in_batches
from datalake_assets.catalog.published import Published, Switch, parameters_of, published_in
from datalake_assets.catalog.schema import CatalogColumn, TableSchema, merge_columns
from datalake_assets.catalog.storage import (
    as_input,
    catalog_columns,
    declared_texts,
    glue_columns,
    storage_descriptor,
    table_input,
)
from datalake_assets.catalog.versions import describe
from datalake_assets.errors import ConcurrentChange, ConfigurationError, PlatformError, Unsupported
from datalake_assets.names import UNPARTITIONED, identifier, partition_prefix

log = logging.getLogger(__name__)

LOCK_ATTEMPTS = 10

__all__ = ["GlueTable", "Published", "Switch"]

Result = TypeVar("Result")


class GlueTable:
    """One table of an account's Glue database, its objects in the account's lake bucket.

    Args:
        session: the account whose role makes all calls; `session.account` names the database and the bucket.
        name: the table.
        region: where the catalog is, the account's home region by default.
        threads: calls in flight.
    """

    def __init__(self, session: AccountSession, name: str, *, region: str | None = None, threads: int = 4) -> None:
        self.session = session
        self.name = identifier(name, what="table")
        self.database = session.account.glue_database
        self.bucket = session.account.lake_bucket
        self.region = region
        self._threads = threads
        self._partitions = GluePartitions(self._client, self.database, self.name)

    @property
    def where(self) -> str:
        """How messages name the table: `flights_lake.flights`."""
        return f"{self.database}.{self.name}"

    def ensure(self, schema: TableSchema) -> tuple[CatalogColumn, ...]:
        """Create the table or bring it up to `schema`; return its columns in the catalog's order.

        Columns are added at the end and never removed, so that what two runs add at once both stays. Nothing is
        written if nothing differs.

        Raises:
            ConfigurationError: a column or partition key has another type than the catalog says.
            ConcurrentChange: others changed the table again and again meanwhile.
        """
        return self._locked(lambda: self._ensure_once(schema))

    def _ensure_once(self, schema: TableSchema) -> tuple[CatalogColumn, ...]:
        found = self._get_table()
        if found is None:
            self._create(schema)
            return schema.columns
        keys = catalog_columns(found.get("PartitionKeys", []))
        if [(key.name, key.glue_type) for key in keys] != [(key.name, key.glue_type) for key in schema.partition_keys]:
            raise ConfigurationError(
                "the partition keys of a table cannot change: "
                f"they are {_names(keys) or 'none'}, declared {_names(schema.partition_keys) or 'none'}",
                where=self.where,
                todo="Give the table a new name, or drop it and publish all of its partitions again",
            )
        columns = merge_columns(
            catalog_columns(found["StorageDescriptor"]["Columns"]), schema.columns, where=self.where
        )
        wanted = as_input(found)
        wanted["StorageDescriptor"] = {**found["StorageDescriptor"], "Columns": glue_columns(columns)}
        wanted["PartitionKeys"] = glue_columns(schema.partition_keys)
        wanted |= declared_texts(schema)
        wanted["Parameters"] = {**found.get("Parameters", {}), **schema.parameters}
        if _without_empty_comments(wanted) != _without_empty_comments(as_input(found)):
            self._update_table(wanted, found)
            log.info("updated table %s: %d columns", self.where, len(columns))
        return columns

    def current(self, partition: str = UNPARTITIONED) -> Published | None:
        """What readers of one partition see; None before its first publication.

        Raises:
            ConfigurationError: there is no such table.
        """
        return self.current_many([partition])[partition]

    def current_many(self, partitions: Sequence[str]) -> dict[str, Published | None]:
        """What readers of many partitions see, with one call for each thousand of them."""
        found: dict[str, Published | None] = dict.fromkeys(partitions)
        if UNPARTITIONED in found:
            found[UNPARTITIONED] = published_in(self._table())
        keys = [partition for partition in found if partition != UNPARTITIONED]
        for answers in in_batches(self._partitions.get, keys, size=READ_BATCH, threads=self._threads):
            found |= {answer["Values"][0]: published_in(answer) for answer in answers}
        return found

    def switch_locations(self, manifests: Sequence[Manifest]) -> dict[str, Switch]:
        """Let readers of each partition see the manifest's version, unless they see a newer one already.

        Partitions are created and updated a hundred at a time; one that fails does not stop the others. Repeating it
        changes nothing. Nothing is deleted: the replaced versions stay for readers in flight.

        Returns:
            What became of each partition, by partition key.

        Raises:
            ConfigurationError: there is no such table; call `ensure` first.
        """
        by_partition = {manifest.version.partition: manifest for manifest in manifests}
        if len(by_partition) != len(manifests):
            raise ValueError(f"{self.where}: two versions of one partition in one call")
        if unpartitioned := by_partition.pop(UNPARTITIONED, None):
            if by_partition:
                raise ValueError(f"{self.where}: the whole table and single partitions of it in one call")
            try:
                return {UNPARTITIONED: self._locked(lambda: self._switch_table(unpartitioned))}
            except PlatformError as error:
                return {UNPARTITIONED: Switch(None, None, error)}

        table = self._table()
        if not table.get("PartitionKeys"):
            raise Unsupported("a table without partition keys has no partitions to publish", where=self.where)
        columns = catalog_columns(table["StorageDescriptor"]["Columns"])
        switches: dict[str, Switch] = {}

        def switch(batch: Sequence[Manifest]) -> dict[str, Switch]:
            return self._switch_batch(batch, columns)

        for done in in_batches(switch, manifests, size=WRITE_BATCH, threads=self._threads):
            switches |= done
        return switches

    def location(self, prefix: str) -> str:
        """The URI of a prefix in the table's bucket."""
        return f"s3://{self.bucket}/{prefix}"

    # Tables

    def _client(self) -> Any:
        return self.session.client("glue", self.region)

    def _table(self) -> Any:
        found = self._get_table()
        if found is None:
            raise ConfigurationError("the table is not in the catalog", where=self.where, todo="Publish it first")
        return found

    def _get_table(self) -> Any:
        glue = self._client()
        with aws_errors(f"database {self.database}"):
            try:
                return glue.get_table(DatabaseName=self.database, Name=self.name)["Table"]
            except glue.exceptions.EntityNotFoundException as error:
                # Glue has one code for a missing table and a missing database; only the first is a usual state.
                if error.response["Error"]["Message"].startswith("Database"):
                    raise
                return None

    def _create(self, schema: TableSchema) -> None:
        glue = self._client()
        prefix = partition_prefix(self.name, UNPARTITIONED)
        if not schema.partition_keys:
            # Readers of an unpartitioned table take all below its location: before the first version that is nothing.
            prefix += "_unpublished/"
        with aws_errors(self.where):
            try:
                glue.create_table(
                    DatabaseName=self.database, TableInput=table_input(self.name, schema, self.location(prefix))
                )
            except glue.exceptions.AlreadyExistsException as error:
                raise ConcurrentChange("another run created the table at the same time", where=self.where) from error
        log.info("created table %s: %d columns", self.where, len(schema.columns))

    def _update_table(self, wanted: dict[str, Any], found: Any) -> None:
        with aws_errors(self.where):
            self._client().update_table(
                DatabaseName=self.database,
                TableInput=wanted,
                VersionId=found["VersionId"],  # refused if anybody changed the table since it was read
                SkipArchive=True,  # Glue keeps a limited number of old table versions; git has the schema's history
            )

    def _switch_table(self, manifest: Manifest) -> Switch:
        table = self._table()
        if table.get("PartitionKeys"):
            raise Unsupported(
                "a partitioned table cannot be published as a whole",
                where=self.where,
                expected=f"versions of its partitions ({_names(catalog_columns(table['PartitionKeys']))})",
            )
        before, after = published_in(table), self._published_by(manifest)
        if before and before.version_id >= after.version_id:
            return Switch(before, before)
        wanted = as_input(table)
        wanted["StorageDescriptor"] = {**table["StorageDescriptor"], "Location": after.location}
        wanted["Parameters"] = {**table.get("Parameters", {}), **parameters_of(manifest, after)}
        self._update_table(wanted, table)
        return Switch(before, after)

    def _locked(self, change: Callable[[], Result]) -> Result:
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

        retrying = Retrying(
            retry=retry_if_exception_type(ConcurrentChange),
            stop=stop_after_attempt(LOCK_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.05, max=2),
            reraise=True,
        )
        return retrying(change)

    # Partitions

    def _switch_batch(self, manifests: Sequence[Manifest], columns: Sequence[CatalogColumn]) -> dict[str, Switch]:
        wanted = {manifest.version.partition: self._partition_input(manifest, columns) for manifest in manifests}
        after = {manifest.version.partition: self._published_by(manifest) for manifest in manifests}

        def is_newer(now: Published | None, key: str) -> bool:
            return now is not None and now.version_id >= after[key].version_id

        try:
            seen = self.current_many(list(wanted))
            # A partition that somebody else registered has no version of ours, so it may exist although nothing is
            # published: the create call tells.
            refused = self._partitions.create([wanted[key] for key in wanted if seen[key] is None])
            existing = {key for key, (code, _) in refused.items() if code == "AlreadyExistsException"}
            # Created since we looked: look again before the update, for theirs may be the newer version.
            seen |= self.current_many(sorted(existing))
        except PlatformError as error:
            return dict.fromkeys(wanted, Switch(None, None, error))

        newer = {key for key, now in seen.items() if is_newer(now, key)}
        errors = {key: self._refusal(key, *refused[key]) for key in refused if key not in existing}
        updates = [key for key in wanted if (seen[key] or key in existing) and key not in newer]
        try:
            refused = self._partitions.update([wanted[key] for key in updates])
            errors |= {key: self._refusal(key, *refused[key]) for key in refused}
        except PlatformError as error:
            errors |= dict.fromkeys(updates, error)
        return {
            key: Switch(seen[key], seen[key], errors[key])
            if key in errors
            else Switch(seen[key], seen[key] if key in newer else after[key])
            for key in wanted
        }

    def _refusal(self, key: str, code: str, message: str) -> PlatformError:
        return platform_error(code, message, where=f"{self.database}.{describe(self.name, key)}")

    def _partition_input(self, manifest: Manifest, columns: Sequence[CatalogColumn]) -> dict[str, Any]:
        published = self._published_by(manifest)
        return {
            "Values": [manifest.version.partition],
            # The table's columns, not the version's: Athena compares a partition's columns with the table's by place.
            "StorageDescriptor": storage_descriptor(published.location, (replace(c, comment="") for c in columns)),
            "Parameters": parameters_of(manifest, published),
        }

    def _published_by(self, manifest: Manifest) -> Published:
        version = manifest.version
        if version.table != self.name:
            raise ValueError(f"a version of {version.table} cannot be published to {self.where}")
        return Published(
            version_id=version.id,
            location=self.location(version.prefix),
            manifest_uri=self.location(manifest.key),
            run_id=manifest.run_id,
            row_count=version.row_count,
        )


def _names(columns: Sequence[CatalogColumn]) -> str:
    return ", ".join(f"{column.name} {column.glue_type}" for column in columns)


def _without_empty_comments(wanted: dict[str, Any]) -> dict[str, Any]:
    """Glue returns an empty comment, description or owner as none at all; a table must not change for that."""

    def columns(found: Any) -> list[dict[str, str]]:
        return [{key: value for key, value in column.items() if value} for column in found]

    return {
        **{key: value for key, value in wanted.items() if value},
        "PartitionKeys": columns(wanted.get("PartitionKeys", [])),
        "StorageDescriptor": {
            **wanted["StorageDescriptor"],
            "Columns": columns(wanted["StorageDescriptor"]["Columns"]),
        },
    }
