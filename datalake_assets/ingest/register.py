"""Register what a crawl found as external tables of the Glue catalog, over the raw files as they are.

A table that no crawl made is never touched: without `database`, tables are called `raw_<name>` and stand beside the
lake's own in the account's database.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.catalog.partitions import READ_BATCH, WRITE_BATCH, in_batches
from datalake_assets.catalog.storage import as_input
from datalake_assets.discovery.report import CrawlReport, DiscoveredTable
from datalake_assets.discovery.sources.objects import account_of, split_s3
from datalake_assets.errors import ConfigurationError, PlatformError, Unavailable, Unsupported
from datalake_assets.ingest.raw_tables import MARK, RawTable, raw_table
from datalake_assets.names import MAX_IDENTIFIER_CHARACTERS, identifier

DELETE_BATCH = 25  # an AWS limit
THREADS = 4
DEPRECATED = "DEPRECATED_BY_CRAWLER"  # the table parameter that Glue's own crawlers set

Outcome = Literal["created", "updated", "unchanged", "deprecated", "removed", "nothing to do"]


@dataclass(frozen=True, slots=True)
class Registered:
    """What became of one table: its full name, what was done with how many partitions, or why not."""

    name: str
    what: str = ""
    error: str | None = None


def register_report(
    report: CrawlReport,
    *,
    account: str | None = None,
    database: str | None = None,
    deleted: Literal["keep", "deprecate", "remove"] = "keep",
    glue: Any = None,
) -> Iterator[Registered]:
    """Bring the catalog to what a report says, table by table; one that cannot be registered does not stop the others.

    Args:
        account: whose catalog, by name or id; by default that of the bucket of each table.
        database: created if it is not there; by default the account's own.
        deleted: with `remove`, partitions whose files vanished leave the catalog too.
        glue: the client, by default that of the account.

    Raises:
        ConfigurationError: `database` is no valid name.
    """
    if database is not None:
        identifier(database, what="database")
    catalogs: dict[str, _Catalog] = {}
    for table in report.tables:
        try:
            catalog = _catalog_of(table, account, database, glue, catalogs)
            if _is_deprecated(table):
                yield Registered(f"{catalog.database}.{catalog.table_name(table.name)}", catalog.deprecate(table.name))
                continue
            raw = raw_table(table, catalog.table_name(table.name), report.tables)
            what = catalog.put(raw, removes=deleted == "remove")
            yield Registered(f"{catalog.database}.{raw.name}", "; ".join((what, *raw.notes)))
        except PlatformError as error:
            yield Registered(table.name, error=_told(error))
    removed = [change for change in report.changes or () if change.what == "table" and change.applied == "removed"]
    for change in removed:
        for catalog in catalogs.values():
            try:
                what = catalog.remove(change.name)
                yield Registered(f"{catalog.database}.{catalog.table_name(change.name)}", what)
            except PlatformError as error:
                yield Registered(change.name, error=_told(error))


def _told(error: PlatformError) -> str:
    return f"{error.found}" + (f". {error.todo}" if error.todo else "")


def _is_deprecated(table: DiscoveredTable) -> bool:
    return any(note.startswith("deprecated: ") for note in table.notes)


def _catalog_of(
    table: DiscoveredTable, account: str | None, database: str | None, glue: Any, made: "dict[str, _Catalog]"
) -> "_Catalog":
    from datalake_assets.accounts.registry import registry
    from datalake_assets.accounts.sessions import session

    if not table.uri.startswith("s3://"):
        raise Unsupported("it cannot be registered: its files are not in S3", where=table.name)
    owner = account_of(split_s3(table.uri)[0], account)
    if owner is None:
        raise ConfigurationError(
            "no account of the registry has its bucket", where=table.name, todo="Name the account with --account"
        )
    if owner not in made:
        found = registry().account(owner)
        made[owner] = _Catalog(
            glue or session(found.name).client("glue"),
            database or found.glue_database,
            prefix="" if database else "raw_",
        )
    return made[owner]


class _Catalog:
    """One Glue database."""

    def __init__(self, glue: Any, database: str, *, prefix: str) -> None:
        self.database = database
        self._glue = glue
        self._prefix = prefix

    def table_name(self, name: str) -> str:
        return identifier(f"{self._prefix}{name}"[:MAX_IDENTIFIER_CHARACTERS].rstrip("_"), what="table")

    def put(self, raw: RawTable, *, removes: bool) -> str:
        """Create or update a table and its partitions; what was done, as text."""
        found = self._get(raw.name)
        if found is None:
            self._create(raw)
            outcome: Outcome = "created"
        else:
            outcome = self._update(raw, found)
        if not raw.partitions:
            return outcome
        created, updated, deleted = self._put_partitions(raw, removes=removes)
        return (
            f"{outcome}, {len(raw.partitions):,} partitions ({created:,} new, {updated:,} changed, {deleted:,} removed)"
        )

    def deprecate(self, name: str) -> Outcome:
        """Mark a table whose files vanished, as Glue's crawlers do."""
        found = self._own(name)
        if found is None or DEPRECATED in found.get("Parameters", {}):
            return "nothing to do"
        wanted = as_input(found)
        wanted["Parameters"] = {**found.get("Parameters", {}), DEPRECATED: "true"}
        self._replace(wanted, found)
        return "deprecated"

    def remove(self, name: str) -> Outcome:
        """Take a table of a crawl out of the catalog; its files stay."""
        if self._own(name) is None:
            return "nothing to do"
        with aws_errors(self._where(self.table_name(name))):
            self._glue.delete_table(DatabaseName=self.database, Name=self.table_name(name))
        return "removed"

    def _own(self, name: str) -> Any:
        found = self._get(self.table_name(name))
        return found if found is not None and MARK in found.get("Parameters", {}) else None

    def _where(self, table: str) -> str:
        return f"{self.database}.{table}"

    def _get(self, table: str) -> Any:
        with aws_errors(self._where(table)):
            try:
                return self._glue.get_table(DatabaseName=self.database, Name=table)["Table"]
            except self._glue.exceptions.EntityNotFoundException:
                return None

    def _create(self, raw: RawTable) -> None:
        with aws_errors(self._where(raw.name)):
            try:
                self._glue.create_table(DatabaseName=self.database, TableInput=raw.input)
            except self._glue.exceptions.EntityNotFoundException:
                self._glue.create_database(
                    DatabaseInput={"Name": self.database, "Description": "raw files, as `datalake crawl` found them"}
                )
                self._glue.create_table(DatabaseName=self.database, TableInput=raw.input)

    def _update(self, raw: RawTable, found: Any) -> Outcome:
        if MARK not in found.get("Parameters", {}):
            raise ConfigurationError(
                f"there is a table {self._where(raw.name)} that no crawl made",
                todo="Name another database with --database",
            )
        keys = [(key["Name"], key["Type"]) for key in found.get("PartitionKeys", [])]
        if keys != [(key["Name"], key["Type"]) for key in raw.input["PartitionKeys"]]:
            # Glue keeps the values of partitions by their place: other keys are another table.
            with aws_errors(self._where(raw.name)):
                self._glue.delete_table(DatabaseName=self.database, Name=raw.name)
                self._glue.create_table(DatabaseName=self.database, TableInput=raw.input)
            return "updated"
        kept = {name: value for name, value in found.get("Parameters", {}).items() if name != DEPRECATED}
        wanted = {**as_input(found), **raw.input, "Parameters": {**kept, **raw.input["Parameters"]}}
        if _comparable(wanted) == _comparable(as_input(found)):
            return "unchanged"
        self._replace(wanted, found)
        return "updated"

    def _replace(self, wanted: dict[str, Any], found: Any) -> None:
        lock = {"VersionId": found["VersionId"]} if "VersionId" in found else {}
        with aws_errors(self._where(wanted["Name"])):
            self._glue.update_table(DatabaseName=self.database, TableInput=wanted, SkipArchive=True, **lock)

    def _put_partitions(self, raw: RawTable, *, removes: bool) -> tuple[int, int, int]:
        names = {"DatabaseName": self.database, "TableName": raw.name}
        where = self._where(raw.name)
        with aws_errors(where):
            pages = self._glue.get_paginator("get_partitions").paginate(
                **names, PaginationConfig={"PageSize": READ_BATCH}
            )
            there = {tuple(entry["Values"]): entry for page in pages for entry in page["Partitions"]}
        wanted = {values: self._partition(raw, values, location) for values, location in raw.partitions}
        new = [entry for values, entry in wanted.items() if values not in there]
        changed = [
            entry
            for values, entry in wanted.items()
            if values in there
            and _comparable(there[values]["StorageDescriptor"]) != _comparable(entry["StorageDescriptor"])
        ]
        gone = [list(values) for values in there if removes and values not in wanted]

        def create(batch: Sequence[dict[str, Any]]) -> Any:
            with aws_errors(where):
                return self._glue.batch_create_partition(**names, PartitionInputList=batch)

        def update(batch: Sequence[dict[str, Any]]) -> Any:
            entries = [{"PartitionValueList": entry["Values"], "PartitionInput": entry} for entry in batch]
            with aws_errors(where):
                return self._glue.batch_update_partition(**names, Entries=entries)

        def delete(batch: Sequence[list[str]]) -> Any:
            with aws_errors(where):
                return self._glue.batch_delete_partition(
                    **names, PartitionsToDelete=[{"Values": values} for values in batch]
                )

        answers = [
            *in_batches(create, new, size=WRITE_BATCH, threads=THREADS),
            *in_batches(update, changed, size=WRITE_BATCH, threads=THREADS),
            *in_batches(delete, gone, size=DELETE_BATCH, threads=THREADS),
        ]
        errors = [error for answer in answers for error in answer.get("Errors", [])]
        if errors:
            detail = errors[0].get("ErrorDetail", {})
            raise Unavailable(
                f"Glue refused {len(errors):,} partitions, the first for {detail.get('ErrorMessage', 'no reason')}",
                where=where,
                todo="Register it again",
            )
        return len(new), len(changed), len(gone)

    def _partition(self, raw: RawTable, values: tuple[str, ...], location: str) -> dict[str, Any]:
        descriptor = {**raw.input["StorageDescriptor"], "Location": location}
        return {"Values": list(values), "StorageDescriptor": descriptor}


def _comparable(value: Any) -> Any:
    """Without what Glue leaves out when it is empty."""
    if isinstance(value, dict):
        return {key: _comparable(each) for key, each in value.items() if each not in ("", None, [], {}, False)}
    if isinstance(value, list):
        return [_comparable(each) for each in value]
    return value
