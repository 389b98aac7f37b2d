"""A table in the Glue catalog: its schema, and the location of each of its partitions.

Glue changes one table or one partition atomically, several partitions one after another. Tables have an optimistic
lock, which merges schema changes and decides races of unpartitioned tables. Partitions have none: the newer version
wins by a comparison right before the write and, for the gap between the two, by another look after it (`settle`).
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.accounts.sessions import AccountSession
from datalake_assets.catalog.deadline import Deadline
from datalake_assets.catalog.manifest import Manifest
from datalake_assets.catalog.partitions import READ_BATCH, WRITE_BATCH, GluePartitions, in_batches
from datalake_assets.catalog.published import Published, Switch, parameters_of, published_in
from datalake_assets.catalog.schema import CatalogColumn, TableSchema, merge_columns
from datalake_assets.catalog.storage import (
    as_input,
    catalog_columns,
    declared_texts,
    glue_columns,
    table_input,
)
from datalake_assets.catalog.switching import switch_batch
from datalake_assets.errors import ConcurrentChange, ConfigurationError, PlatformError, Unsupported
from datalake_assets.failpoints import failpoint
from datalake_assets.names import UNPARTITIONED, identifier, partition_prefix

log = logging.getLogger(__name__)

LOCK_ATTEMPTS = 20
LOCK_WAIT_SECONDS = 0.05

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
        return {
            partition: published_in(entry) if entry else None for partition, entry in self.entries(partitions).items()
        }

    def entries(self, partitions: Sequence[str]) -> dict[str, Any]:
        """What Glue says of many partitions, also of those that somebody else registered; None for the others.

        Raises:
            ConfigurationError: there is no such table.
        """
        found: dict[str, Any] = dict.fromkeys(partitions)
        if UNPARTITIONED in found:
            found[UNPARTITIONED] = self._table()
        keys = [partition for partition in found if partition != UNPARTITIONED]
        for answers in in_batches(self._partitions.get, keys, size=READ_BATCH, threads=self._threads):
            found |= {answer["Values"][0]: answer for answer in answers}
        return found

    def published(self) -> dict[str, Published]:
        """What readers of each partition see, with one call for each thousand of them; nothing if there is no table."""
        table = self._get_table()
        if table is None:
            return {}
        if not table.get("PartitionKeys"):
            found = {UNPARTITIONED: published_in(table)}
        else:
            found = {entry["Values"][0]: published_in(entry) for entry in self._partitions.all()}
        return {partition: published for partition, published in found.items() if published}

    def exists(self) -> bool:
        """Whether the table is in the catalog."""
        return self._get_table() is not None

    def is_partitioned(self) -> bool:
        """Whether the table has partition keys.

        Raises:
            ConfigurationError: there is no such table.
        """
        return bool(self._table().get("PartitionKeys"))

    def switch_locations(self, manifests: Sequence[Manifest], *, deadline: Deadline | None = None) -> dict[str, Switch]:
        """Let readers of each partition see the manifest's version, unless they see a newer one already.

        Partitions are created and updated a hundred at a time; one that fails does not stop the others. Repeating it
        changes nothing. Nothing is deleted: the replaced versions stay for readers in flight.

        Args:
            deadline: counted from before S3 was last asked about these versions.

        Returns:
            What became of each partition, by partition key.

        Raises:
            ConfigurationError: there is no such table; call `ensure` first.
        """
        if not manifests:
            return {}
        by_partition = {manifest.version.partition: manifest for manifest in manifests}
        if strange := {manifest.version.table for manifest in manifests} - {self.name}:
            raise ValueError(f"versions of {', '.join(sorted(strange))} cannot be published to {self.where}")
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
        by = deadline or Deadline.from_now()

        def switch(batch: Sequence[Manifest]) -> dict[str, Switch]:
            return switch_batch(self._partitions, batch, columns, bucket=self.bucket, where=self.where, deadline=by)

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
        before, after = published_in(table), Published.of(manifest, self.bucket)
        if before and before.version_id >= after.version_id:
            return Switch(before, before)
        wanted = as_input(table)
        wanted["StorageDescriptor"] = {**table["StorageDescriptor"], "Location": after.location}
        wanted["Parameters"] = {**table.get("Parameters", {}), **parameters_of(manifest, after)}
        failpoint("publish.before_switch")
        self._update_table(wanted, table)
        return Switch(before, after)

    def _locked(self, change: Callable[[], Result]) -> Result:
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

        retrying = Retrying(
            retry=retry_if_exception_type(ConcurrentChange),
            stop=stop_after_attempt(LOCK_ATTEMPTS),
            wait=wait_random_exponential(multiplier=LOCK_WAIT_SECONDS, max=2),
            reraise=True,
        )
        return retrying(change)


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
