"""Where a table keeps its versions, their manifests and their marks, and what a listed key of it means.

    flights/dt=2013-01-01/v=<version>/part-00000.parquet        the version's objects
    flights/_manifests/dt=2013-01-01/<version>.json             accepted: it may be, is or was published
    flights/_manifests/dt=2013-01-01/<version>.rejected.json    refused by a blocking check: never published
    flights/_manifests/dt=2013-01-01/<version>.expired.json     marked for removal: never published from then on
    flights/_manifests/dt=2013-01-01/<version>.redshift.json    what COPY reads

A key that is none of these was not made here, and is never touched.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from datalake_assets.errors import InvalidName
from datalake_assets.names import PARTITION_COLUMN, UNPARTITIONED, manifest_key, partition_key, partition_prefix

# Other names under a version's prefix were not uploaded by us: a version is Parquet and nothing else.
_DATA = re.compile(rf"(?:{PARTITION_COLUMN}=([^/]+)/)?v=([0-9A-Za-z][0-9A-Za-z-]{{0,79}})/[^/]+\.parquet")
_BESIDE = re.compile(rf"_manifests/(?:{PARTITION_COLUMN}=([^/]+)/)?([0-9A-Za-z][0-9A-Za-z-]{{0,79}})(\.[a-z]+)?\.json")


class Kind(StrEnum):
    """What an object of a table is; the value is what stands between the version and `.json`."""

    MANIFEST = ""
    REJECTED = ".rejected"
    EXPIRED = ".expired"
    REDSHIFT = ".redshift"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class Place:
    """What a key says: which version of which partition, and what of it."""

    partition: str
    version_id: str
    kind: Kind


def place_of(table: str, key: str) -> Place | None:
    """What a key of a table's prefix is; None for a key that the platform does not write."""
    if not key.startswith(f"{table}/"):
        return None
    rest = key[len(table) + 1 :]
    if match := _DATA.fullmatch(rest):
        kind = Kind.DATA
    elif match := _BESIDE.fullmatch(rest):
        suffix = match[3] or ""
        if suffix not in (Kind.MANIFEST, Kind.REJECTED, Kind.EXPIRED, Kind.REDSHIFT):
            return None
        kind = Kind(suffix)
    else:
        return None
    try:
        partition = partition_key(match[1] or UNPARTITIONED)
    except InvalidName:
        return None
    return Place(partition, match[2], kind)


def manifests_prefix(table: str, partition: str = UNPARTITIONED) -> str:
    """Where all manifests of a partition are, or all of a table: `flights/_manifests/dt=2013-01-01/`."""
    return f"{table}/_manifests/{partition_prefix(table, partition).removeprefix(f'{table}/')}"


def data_prefix(table: str, partition: str) -> str:
    """Where all versions' objects of a partition are, and no manifest: `flights/dt=2013-01-01/v=`, `airlines/v=`."""
    return f"{partition_prefix(table, partition)}v="


def key_beside(table: str, partition: str, version: str, kind: Kind) -> str:
    """The key of a version's manifest, mark or list, which lie beside the data."""
    return f"{manifest_key(table, partition, version).removesuffix('.json')}{kind.value}.json"
