"""The lake's tables by the names that people write, and the published version of each of their partitions."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.accounts.registry import Account, registry
from datalake_assets.accounts.sessions import AccountSession, session
from datalake_assets.catalog.partitions import READ_BATCH, GluePartitions, in_batches
from datalake_assets.catalog.published import SIZE_PARAMETER, published_in
from datalake_assets.catalog.schema import CatalogColumn
from datalake_assets.catalog.storage import catalog_columns
from datalake_assets.errors import InvalidQuery, PermanentError, Unsupported
from datalake_assets.names import UNPARTITIONED

LAKE = "lake"  # `flights.lake.weather`, as the asset key has it
MAX_NEAREST = 5
BATCH_THREADS = 4


@dataclass(frozen=True, slots=True)
class PublishedPartition:
    """One partition as the catalog shows it: which version readers see, and how much that is."""

    key: str
    version_id: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class LakeTable:
    """One table of the catalog with the partitions that are published; the partition key is not among `columns`.

    `reader` is the location whose role reads it, the owner's own if it is empty.
    """

    account: Account
    name: str
    columns: tuple[CatalogColumn, ...]
    keys: tuple[CatalogColumn, ...]
    partitions: tuple[PublishedPartition, ...]
    description: str = ""
    reader: str = ""

    @property
    def session(self) -> AccountSession:
        """Whose credentials read the table."""
        return session(self.reader or self.account.name)

    @property
    def full_name(self) -> str:
        """`flights_lake.weather`."""
        return f"{self.account.glue_database}.{self.name}"

    @property
    def bytes(self) -> int:
        return sum(each.bytes for each in self.partitions)


@dataclass(frozen=True, slots=True)
class ListedTable:
    """One table of a database, without its partitions."""

    database: str
    name: str
    description: str
    partition_keys: tuple[str, ...]
    is_published: bool
    """Whether a pipeline publishes it; others are known to the catalog only, and this platform does not read them."""


class Tables(Protocol):
    """Where a statement's tables are looked up."""

    @property
    def default(self) -> Account | None:
        """Whose database a table without one is looked up in."""
        ...

    def table(self, path: Sequence[str], /) -> LakeTable: ...

    def has(self, path: Sequence[str], /) -> bool: ...

    def databases(self) -> list[Account]: ...

    def tables(self, database: str | None = None, /) -> list[ListedTable]: ...


class Lake:
    """All accounts' Glue databases, read with each account's own role.

    Args:
        account: whose database a table without one is looked up in, by name or id.
        reader: the location whose role reads all of them instead.
    """

    def __init__(self, account: str | None = None, *, reader: str | None = None) -> None:
        self._accounts = list(registry())
        self._reader = reader
        self.default = registry().account(account) if account is not None else None

    def table(self, path: Sequence[str]) -> LakeTable:
        """The table of this name: `table`, `database.table`, `account.table` or `account.lake.table`.

        Raises:
            InvalidQuery: there is no such account, database or table; the nearest names are told.
            Unsupported: the table is not one that a pipeline publishes.
            Unavailable, AccessDenied: Glue does not answer, or not for the account's role.
        """
        names = [part.lower() for part in path]
        account = self.account_of(names)
        return self._read(account, names[-1])

    def partitions_of(self, path: Sequence[str], keys: Sequence[str]) -> LakeTable:
        """The same table with those of these partitions that are published, and no others; raises as `table`."""
        names = [part.lower() for part in path]
        account = self.account_of(names)
        return self._read(account, names[-1], keys)

    def has(self, path: Sequence[str]) -> bool:
        """Whether there is such a table."""
        names = [part.lower() for part in path]
        try:
            account = self.account_of(names)
        except InvalidQuery:
            return False
        return self._get(account, names[-1]) is not None

    def databases(self) -> list[Account]:
        return self._accounts

    def tables(self, database: str | None = None) -> list[ListedTable]:
        """The tables of one database (or account), of the default account's, or of all.

        Raises:
            InvalidQuery: there is no such database.
        """
        if database is not None:
            accounts = [self.account_of([database.lower(), ""])]
        else:
            accounts = [self.default] if self.default else self._accounts
        return [table for account in accounts for table in _tables(account)]

    def account_of(self, names: Sequence[str]) -> Account:
        """Whose table a name is, from the registry alone; raises as `table`."""
        if len(names) == 1:
            if self.default is None:
                raise InvalidQuery(
                    f"the table {names[0]!r} has no database",
                    expected=f"{_nearest(names[0], self._all_names()) or 'database.table'}, or --account with its name",
                )
            return self.default
        by_name = {account.name: account for account in self._accounts}
        by_database = {account.glue_database: account for account in self._accounts}
        first = names[0]
        if len(names) == 2 and (found := by_database.get(first) or by_name.get(first)):
            return found
        if len(names) == 3 and (found := by_name.get(first)) and names[1] in (LAKE, found.glue_database):
            return found
        known = [*by_database, *by_name]
        if len(names) > 2:
            raise InvalidQuery(
                f"there is no table {'.'.join(names)!r}", expected="database.table, account.table or account.lake.table"
            )
        raise InvalidQuery(
            f"there is no database or account {first!r}",
            expected=_nearest(first, known) or f"one of {', '.join(sorted(known))}",
        )

    def _read(self, account: Account, name: str, wanted: Sequence[str] | None = None) -> LakeTable:
        found = self._get(account, name)
        if found is None:
            where = account.glue_database
            known = [f"{each.database}.{each.name}" for each in _tables(account)]
            near = _nearest(f"{where}.{name}", known) or _nearest(name, self._all_names())
            raise InvalidQuery(
                f"there is no table {name!r} in {where}",
                expected=near or f"one of {', '.join(known) or 'none yet'}",
                todo="`SHOW TABLES` lists them",
            )
        keys = catalog_columns(found.get("PartitionKeys", []))
        entries = self._partitions(account, name, wanted) if keys else [found]
        published = [(entry, published_in(entry)) for entry in entries]
        if not _is_published(account, found):
            raise Unsupported(
                f"{account.glue_database}.{name} is not published by a pipeline",
                where=found.get("StorageDescriptor", {}).get("Location"),
                todo="`datalake preview` reads its files; --engine athena reads what Athena can",
            )
        if len(keys) > 1:
            raise Unsupported(f"the table has {len(keys)} partition keys", where=name, expected="at most one")
        return LakeTable(
            account,
            name,
            columns=catalog_columns(found["StorageDescriptor"]["Columns"]),
            keys=keys,
            partitions=tuple(
                sorted(
                    (
                        PublishedPartition(
                            key=entry["Values"][0] if keys else UNPARTITIONED,
                            version_id=version.version_id,
                            rows=version.row_count,
                            bytes=int(entry["Parameters"].get(SIZE_PARAMETER, 0)),
                        )
                        for entry, version in published
                        if version
                    ),
                    key=lambda each: each.key,
                )
            ),
            description=found.get("Description", ""),
            reader=self._reader or "",
        )

    def _glue(self, account: Account) -> Any:
        return session(self._reader or account.name).client("glue", account.region)

    def _catalog(self, account: Account) -> str | None:
        """The catalog to name, which one's own is without a name."""
        return account.id if self._reader not in (None, account.name) else None

    def _partitions(self, account: Account, name: str, wanted: Sequence[str] | None) -> Iterable[Any]:
        partitions = GluePartitions(
            lambda: self._glue(account), account.glue_database, name, catalog=self._catalog(account)
        )
        if wanted is None:
            return partitions.all()
        batches = in_batches(partitions.get, wanted, size=READ_BATCH, threads=BATCH_THREADS)
        return (entry for batch in batches for entry in batch)

    def _get(self, account: Account, name: str) -> Any:
        glue, database = self._glue(account), account.glue_database
        catalog = {"CatalogId": named} if (named := self._catalog(account)) else {}
        with aws_errors(f"{database}.{name}"):
            try:
                return glue.get_table(DatabaseName=database, Name=name, **catalog)["Table"]
            except glue.exceptions.EntityNotFoundException:
                return None
            except glue.exceptions.InvalidInputException:
                return None  # a text that cannot be a table's name

    def _all_names(self) -> list[str]:
        """All tables of the databases that can be listed: for a suggestion, one that cannot is left out."""
        found: list[str] = []
        for account in self._accounts:
            try:
                found += [f"{each.database}.{each.name}" for each in _tables(account)]
            except PermanentError:
                continue
        return found


def _tables(account: Account) -> list[ListedTable]:
    glue, database = session(account.name).client("glue"), account.glue_database
    with aws_errors(f"database {database}"):
        return [
            ListedTable(
                database=database,
                name=table["Name"],
                description=table.get("Description", ""),
                partition_keys=tuple(key["Name"] for key in table.get("PartitionKeys", [])),
                is_published=_is_published(account, table),
            )
            for page in glue.get_paginator("get_tables").paginate(DatabaseName=database)
            for table in page["TableList"]
        ]


def _is_published(account: Account, table: Any) -> bool:
    """Whether a table lies where the platform publishes it; what a crawl registered lies elsewhere."""
    location = str(table.get("StorageDescriptor", {}).get("Location", ""))
    return location.startswith(f"s3://{account.lake_bucket}/{table['Name']}/")


def _nearest(name: str, known: Sequence[str]) -> str:
    """The names most like one, as a list of words; '' if none is."""
    by_last = {each.rpartition(".")[2]: each for each in reversed(known)}
    near = difflib.get_close_matches(name, known, n=MAX_NEAREST, cutoff=0.6)
    near += [by_last[each] for each in difflib.get_close_matches(name.rpartition(".")[2], by_last, n=MAX_NEAREST)]
    return " or ".join(dict.fromkeys(near))
