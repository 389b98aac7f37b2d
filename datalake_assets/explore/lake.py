"""The lake's tables by the names that people write, and the published version of each of their partitions."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.accounts.registry import Account, registry
from datalake_assets.accounts.sessions import AccountSession, session
from datalake_assets.catalog.published import SIZE_PARAMETER, published_in
from datalake_assets.catalog.schema import CatalogColumn
from datalake_assets.catalog.storage import catalog_columns
from datalake_assets.errors import InvalidQuery, PermanentError, Unsupported
from datalake_assets.names import UNPARTITIONED

LAKE = "lake"  # `flights.lake.weather`, as the asset key has it
MAX_NEAREST = 5


@dataclass(frozen=True, slots=True)
class PublishedPartition:
    """One partition as the catalog shows it: which version readers see, and how much that is."""

    key: str
    version_id: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class LakeTable:
    """One table of the catalog with all partitions that are published; the partition key is not among `columns`."""

    account: Account
    name: str
    columns: tuple[CatalogColumn, ...]
    keys: tuple[CatalogColumn, ...]
    partitions: tuple[PublishedPartition, ...]
    description: str = ""

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


class Lake:
    """All accounts' Glue databases, read with each account's own role.

    Args:
        account: whose database a table without one is looked up in, by name or id.
    """

    def __init__(self, account: str | None = None) -> None:
        self._accounts = list(registry())
        self.default = registry().account(account) if account is not None else None

    def table(self, path: Sequence[str]) -> LakeTable:
        """The table of this name: `table`, `database.table`, `account.table` or `account.lake.table`.

        Raises:
            InvalidQuery: there is no such account, database or table; the nearest names are told.
            Unsupported: the table is not one that a pipeline publishes.
            Unavailable, AccessDenied: Glue does not answer, or not for the account's role.
        """
        names = [part.lower() for part in path]
        account = self._account(names)
        return self._read(account, names[-1])

    def has(self, path: Sequence[str]) -> bool:
        """Whether there is such a table."""
        names = [part.lower() for part in path]
        try:
            account = self._account(names)
        except InvalidQuery:
            return False
        return self._get(session(account.name), names[-1]) is not None

    def databases(self) -> list[Account]:
        return self._accounts

    def tables(self, database: str | None = None) -> list[ListedTable]:
        """The tables of one database (or account), of the default account's, or of all.

        Raises:
            InvalidQuery: there is no such database.
        """
        if database is not None:
            accounts = [self._account([database.lower(), ""])]
        else:
            accounts = [self.default] if self.default else self._accounts
        return [table for account in accounts for table in _tables(account)]

    def _account(self, names: Sequence[str]) -> Account:
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

    def _read(self, account: Account, name: str) -> LakeTable:
        aws = session(account.name)
        found = self._get(aws, name)
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
        entries = _partitions(aws, account, name) if keys else [found]
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
        )

    def _get(self, aws: AccountSession, name: str) -> Any:
        glue, database = aws.client("glue"), aws.account.glue_database
        with aws_errors(f"{database}.{name}"):
            try:
                return glue.get_table(DatabaseName=database, Name=name)["Table"]
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


def _partitions(aws: AccountSession, account: Account, name: str) -> Iterable[Any]:
    pages = aws.client("glue").get_paginator("get_partitions")
    with aws_errors(f"{account.glue_database}.{name}"):
        for page in pages.paginate(DatabaseName=account.glue_database, TableName=name, ExcludeColumnSchema=True):
            yield from page["Partitions"]


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
