"""All names in one place: asset keys, Glue tables, S3 prefixes, Redshift identifiers.

Whatever reaches SQL, a key or a catalog call as a name goes through here first, so that no statement is ever built
from unvalidated text. Limits are those of the services: Glue and Athena fold names to lower case and take up to 255
characters, Redshift takes 127 bytes; the platform allows 63 so that PostgreSQL targets fit too.
"""

import re
from typing import Literal

from datalake_assets.errors import InvalidName

Layer = Literal["raw", "lake", "warehouse"]

SOURCE_FILE_COLUMN = "_source_file"
SOURCE_ROW_COLUMN = "_source_row"
RESCUED_COLUMN = "_rescued_data"
PARTITION_COLUMN = "dt"
# Of the folder of each version. Readers that take `v=…` for a column would read it in place of one called so.
VERSION_KEY = "v"
QUARANTINE_CHECK = "quarantine"  # the asset check of a lake table
UNPARTITIONED = ""  # the partition key of a table without partitions, in ledgers and manifests

MAX_IDENTIFIER_CHARACTERS = 63
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_PARTITION_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._|-]{0,199}")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,79}")


def identifier(text: str, *, what: str = "name") -> str:
    """Return `text` if it can name a table, column, schema or location; raise `InvalidName` otherwise."""
    if not _IDENTIFIER.fullmatch(text):
        raise InvalidName(
            f"{what} {text!r} is not a valid identifier",
            expected=f"lower-case letters, digits and _, not starting with a digit, "
            f"at most {MAX_IDENTIFIER_CHARACTERS} characters",
        )
    return text


def quoted(text: str) -> str:
    """Return a validated identifier in double quotes, ready for SQL (reserved words become harmless)."""
    return f'"{identifier(text)}"'


def partition_key(text: str) -> str:
    """Return `text` if it can be a partition key; `UNPARTITIONED` stands for a table without partitions."""
    if text != UNPARTITIONED and not _PARTITION_KEY.fullmatch(text):
        raise InvalidName(f"partition key {text!r} is not valid", expected="letters, digits and : . _ | -")
    return text


def asset_key(location: str, layer: Layer, table: str) -> list[str]:
    """The path of an asset key: `[location, layer, table]`."""
    return [identifier(location, what="location"), layer, identifier(table, what="table")]


def source_id(location: str, table: str) -> str:
    """The name of one raw source in the arrival ledger: `location/table`."""
    return f"{identifier(location, what='location')}/{identifier(table, what='table')}"


def quarantine_table(table: str) -> str:
    """The Glue table that keeps the rows set aside from `table`."""
    return identifier(f"{table}_quarantine", what="quarantine table")


def partition_prefix(table: str, partition: str) -> str:
    """`flights/dt=2013-01-01/`, or `airlines/` for a table without partitions: never starts with a slash."""
    partition_key(partition)
    middle = f"{PARTITION_COLUMN}={partition}/" if partition != UNPARTITIONED else ""
    return f"{identifier(table, what='table')}/{middle}"


def version_prefix(table: str, partition: str, version: str) -> str:
    """The prefix under which one version of one partition keeps its objects, and nothing else does."""
    return f"{partition_prefix(table, partition)}{VERSION_KEY}={version_id(version)}/"


def manifest_key(table: str, partition: str, version: str) -> str:
    """The object that lists a version's raw inputs and lake files; beside the data, never under a version's prefix."""
    inner = partition_prefix(table, partition).removeprefix(f"{table}/")
    return f"{table}/_manifests/{inner}{version_id(version)}.json"


def version_id(text: str) -> str:
    """Return `text` if it can be a version's id; ids sort by the time they were made."""
    if not _VERSION.fullmatch(text):
        raise InvalidName(f"version {text!r} is not valid", expected="letters, digits and -")
    return text


def qualified(table: str) -> tuple[str, str]:
    """Split `schema.table` of the warehouse into its two validated identifiers."""
    schema, dot, name = table.partition(".")
    if not dot:
        raise InvalidName(f"warehouse table {table!r} has no schema", expected="schema.table, for example lake.flights")
    return identifier(schema, what="schema"), identifier(name, what="table")
