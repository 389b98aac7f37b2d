"""Crawl a database: PostgreSQL by its own catalog, DynamoDB by a sample of its items.

    postgresql://user:secret@host/db?schema=sales     every table and view of a schema, or of all of them
    postgresql:///?host=…                             what libpq's variables and files do not say
    dynamodb://orders?region=eu-central-1             one table, or all of the account

A password never appears in a report, a state or a message.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from datalake_assets.discovery.columns.target_names import RESERVED, unique_names
from datalake_assets.discovery.crawl_options import CrawlOptions
from datalake_assets.discovery.report import CrawlReport, DiscoveredColumn, DiscoveredTable, Skipped
from datalake_assets.discovery.sources.postgres_types import target_type
from datalake_assets.errors import AccessDenied, ConfigurationError, PlatformError, Unavailable

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

CONNECT_SECONDS = 10
STATEMENT_SECONDS = 60
MAX_TABLES = 10_000

# One query for all: tables in pages would see a catalog that changes between them.
_COLUMNS = """
SELECT n.nspname, c.relname, c.relkind::text, greatest(c.reltuples, -1)::bigint, a.attname,
       format_type(a.atttypid, a.atttypmod), a.attnotnull,
       coalesce(a.attnum = ANY (i.indkey::int2[]), false), has_table_privilege(c.oid, 'SELECT'), t.typtype::text
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND NOT c.relispartition
  AND n.nspname !~ '^(pg_|information_schema$)' AND (%(schema)s IS NULL OR n.nspname = %(schema)s)
ORDER BY n.nspname, c.relname, a.attnum
"""
_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table", "p": "a partitioned table"}


def crawl_database(uri: str, options: CrawlOptions) -> CrawlReport:
    """The tables of a database.

    Raises:
        AccessDenied, Unavailable, ConfigurationError: it cannot be reached, or not with these credentials.
    """
    if uri.startswith("dynamodb://"):
        from datalake_assets.discovery.sources.dynamodb import crawl_dynamodb

        return crawl_dynamodb(uri, options)
    return crawl_postgresql(uri)


def crawl_postgresql(uri: str) -> CrawlReport:
    """The tables and views of a PostgreSQL database, with the row estimates of its own statistics.

    Raises:
        AccessDenied, Unavailable, ConfigurationError: it cannot be reached, or not with these credentials.
    """
    parts = urlsplit(uri)
    words = parse_qs(parts.query)
    schema = words.pop("schema", [None])[-1]
    address = urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(words, doseq=True), ""))
    shown = f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"
    connection = _connect(address, shown)
    try:
        rows = _catalog(connection, schema, shown)
    finally:
        connection.close()
    if not rows and schema is not None:
        raise ConfigurationError(f"there is no table in schema {schema!r}", where=shown)
    tables, skipped = [], []
    for (namespace, table), found in _by_table(rows):
        if not found[0][8]:
            skipped.append(Skipped(f"{shown}/{namespace}.{table}", "AccessDenied", "its rows may not be read"))
            continue
        tables.append(_table(shown, namespace, table, found))
    names = unique_names([f"{t.uri.rpartition('/')[2].partition('.')[2]}" for t in tables], prefix="table")
    import dataclasses

    return CrawlReport(
        uris=(shown,),
        tables=tuple(dataclasses.replace(table, name=name) for table, name in zip(tables, names, strict=True)),
        skipped=tuple(skipped),
        skipped_files=len(skipped),
    )


_Row = tuple[str, str, str, int, str, str, bool, bool, bool, str]


def _connect(address: str, shown: str) -> "Connection":
    import psycopg2

    try:
        connection = psycopg2.connect(
            address,
            connect_timeout=CONNECT_SECONDS,
            application_name="datalake crawl",
            options=f"-c statement_timeout={STATEMENT_SECONDS * 1000} -c default_transaction_read_only=on",
        )
    except psycopg2.OperationalError as error:
        raise _connection_error(str(error), shown) from None  # the cause may quote the address with its password
    except psycopg2.Error:
        raise ConfigurationError(
            "the address is not valid", where=shown, expected="postgresql://user:password@host:port/database"
        ) from None
    return connection


def _connection_error(text: str, shown: str) -> PlatformError:
    if any(told in text for told in ("password", "authentication", "role", "pg_hba", "permission")):
        return AccessDenied("the database refused the login", where=shown, todo="Mend user and password")
    if "does not exist" in text:
        return ConfigurationError("the database does not exist", where=shown)
    return Unavailable("the database cannot be reached", where=shown, todo="Check host, port and network")


def _catalog(connection: "Connection", schema: str | None, shown: str) -> list[_Row]:
    import psycopg2

    try:
        with connection.cursor() as cursor:
            cursor.execute(_COLUMNS, {"schema": schema})
            return cursor.fetchall()
    except psycopg2.Error as error:
        raise Unavailable(f"the catalog cannot be read: {(error.pgerror or str(error)).strip()}", where=shown) from None


def _by_table(rows: list[_Row]) -> Iterator[tuple[tuple[str, str], list[_Row]]]:
    found: dict[tuple[str, str], list[_Row]] = {}
    for row in rows:
        found.setdefault((row[0], row[1]), []).append(row)
    yield from list(found.items())[:MAX_TABLES]


def _table(shown: str, namespace: str, table: str, rows: list[_Row]) -> DiscoveredTable:
    names = unique_names([row[4] for row in rows], taken=RESERVED)
    columns: list[DiscoveredColumn] = []
    for row, name in zip(rows, names, strict=True):
        kind, note = target_type(row[5], row[9])
        columns.append(
            DiscoveredColumn(
                name=name,
                raw_path=row[4],
                type=kind,
                nulls=0,
                # A declared NOT NULL is as good as a count without nulls; otherwise nothing was counted.
                count=1 if row[6] else 0,
                certainty=0.7 if note else 1.0,
                notes=(note,) if note else (),
                position=len(columns),
            )
        )
    estimate = rows[0][3]
    notes = [f"it is {_KINDS[rows[0][2]]}"] if rows[0][2] in _KINDS else []
    if estimate < 0:
        notes.append("the database does not know yet how many rows there are")
    return DiscoveredTable(
        name=table,
        uri=f"{shown}/{namespace}.{table}",
        source=None,
        classification=None,
        columns=tuple(columns),
        notes=tuple(notes),
        kind="postgresql",
        rows=estimate if estimate >= 0 else None,
        key_columns=tuple(name for row, name in zip(rows, names, strict=True) if row[7]),
    )
