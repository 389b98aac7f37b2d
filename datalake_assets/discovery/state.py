"""What a crawl leaves behind for the next one: its tables, what its samples held, and which objects it saw.

The state is one JSON document. For buckets of an account of the registry it is the object `_crawls/<name>.json` in the
account's lake bucket; for everything else a file below `$XDG_STATE_HOME/datalake/crawls` (`~/.local/state/…`).
"""

import base64
import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datalake_assets.discovery.crawl_options import CrawlOptions
from datalake_assets.discovery.reading import FileProfile
from datalake_assets.discovery.report import DiscoveredTable, FoundPartition
from datalake_assets.discovery.sources.listing import Known
from datalake_assets.discovery.sources.objects import FoundObject, account_of, is_s3, s3_client, split_s3
from datalake_assets.errors import ConfigurationError, PlatformError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

STATE_VERSION = 1
STATE_PREFIX = "_crawls/"
DIGEST_BYTES = 8
MAX_SEEN = 2_000_000  # objects that are remembered one by one; beyond that all count as new


class Seen:
    """Which objects in which version a crawl saw: eight bytes for each."""

    def __init__(self, digests: Iterable[bytes] = ()) -> None:
        self._digests = set(digests)

    def add(self, found: FoundObject) -> None:
        if len(self._digests) < MAX_SEEN:
            self._digests.add(_digest(found))

    def has(self, found: FoundObject) -> bool:
        return _digest(found) in self._digests

    def __len__(self) -> int:
        return len(self._digests)

    def as_text(self) -> str:
        return base64.b64encode(b"".join(sorted(self._digests))).decode()

    @classmethod
    def from_text(cls, text: str) -> "Seen":
        data = base64.b64decode(text)
        return cls(data[at : at + DIGEST_BYTES] for at in range(0, len(data), DIGEST_BYTES))


def _digest(found: FoundObject) -> bytes:
    # Names of local files need not be UTF-8.
    told = f"{found.uri}\0{found.etag}\0{found.size}".encode("utf-8", "surrogateescape")
    return hashlib.blake2b(told, digest_size=DIGEST_BYTES).digest()


@dataclass(slots=True)
class CrawlState:
    """The result of a crawl as the next one needs it.

    Attributes:
        classifiers: hash of everything that decides what a sample says; with another one all is read again.
        rejected: samples that no table came of: URI → etag, kind and reason.
        vanished: tables that vanished and are kept: name → since when, in UTC.
    """

    uris: tuple[str, ...]
    classifiers: str
    tables: tuple[DiscoveredTable, ...] = ()
    profiles: tuple[FileProfile, ...] = ()
    seen: Seen = field(default_factory=Seen)
    rejected: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    vanished: dict[str, str] = field(default_factory=dict)

    def known(self) -> Known:
        """What a crawl with the same classifiers need not read again."""
        return Known({profile.uri: profile for profile in self.profiles}, self.seen.has, self.rejected)

    def as_json(self) -> dict[str, Any]:
        return {
            "version": STATE_VERSION,
            "uris": list(self.uris),
            "classifiers": self.classifiers,
            "tables": [table.as_json() for table in self.tables],
            "partitions": {
                table.name: [[list(p.values), p.location, p.files, p.bytes] for p in table.partitions]
                for table in self.tables
                if table.partitions
            },
            "profiles": [profile.as_json() for profile in self.profiles],
            "seen": self.seen.as_text(),
            "rejected": {uri: list(told) for uri, told in self.rejected.items()},
            "vanished": self.vanished,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "CrawlState":
        import dataclasses

        partitions = {
            name: tuple(FoundPartition(tuple(values), location, files, size) for values, location, files, size in found)
            for name, found in data["partitions"].items()
        }
        tables = (DiscoveredTable.from_json(each) for each in data["tables"])
        return cls(
            uris=tuple(data["uris"]),
            classifiers=data["classifiers"],
            tables=tuple(dataclasses.replace(each, partitions=partitions.get(each.name, ())) for each in tables),
            profiles=tuple(FileProfile.from_json(each) for each in data["profiles"]),
            seen=Seen.from_text(data["seen"]),
            rejected={uri: (etag, kind, reason) for uri, (etag, kind, reason) in data["rejected"].items()},
            vanished=dict(data["vanished"]),
        )


class StateStore:
    """Where the state of one crawl is: an S3 object or a local file."""

    def __init__(self, uri: str, *, account: str | None = None, s3: "S3Client | None" = None) -> None:
        self.uri = uri
        self._account, self._s3 = account, s3

    @classmethod
    def of(cls, uris: Sequence[str], *, account: str | None = None, s3: "S3Client | None" = None) -> "StateStore":
        """The place where the state of a crawl of these URIs is kept by itself."""
        name = state_name(uris)
        buckets = [split_s3(uri)[0] for uri in uris if is_s3(uri)]
        owner = account_of(buckets[0], account) if buckets else None
        if owner is None:
            folder = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
            return cls(str(Path(folder) / "datalake" / "crawls" / f"{name}.json"))
        from datalake_assets.accounts.registry import registry

        bucket = registry().account(owner).lake_bucket
        return cls(f"s3://{bucket}/{STATE_PREFIX}{name}.json", account=owner, s3=s3)

    def load(self) -> CrawlState | None:
        """The state of the crawl before; None if there was none, or one of another version of this program.

        Raises:
            ConfigurationError: what is there is no state.
            AccessDenied, Unavailable, Throttled: it could not be read.
        """
        data = self._read()
        if data is None:
            return None
        try:
            parsed = json.loads(data)
            if parsed["version"] != STATE_VERSION:
                return None
            return CrawlState.from_json(parsed)
        except (ValueError, KeyError, TypeError, PlatformError) as error:
            raise ConfigurationError(
                f"it holds no state of a crawl: {error}", where=self.uri, todo="Delete it, or name another --state"
            ) from error

    def save(self, state: CrawlState) -> None:
        """Keep a state, in place of the one before.

        Raises:
            PlatformError: it could not be written.
        """
        data = json.dumps(state.as_json(), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        if not is_s3(self.uri):
            path = Path(self.uri)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                half = path.with_name(path.name + ".new")
                half.write_bytes(data)
                half.replace(path)
            except OSError as error:
                raise ConfigurationError(f"the state cannot be written: {error}", where=self.uri) from error
            return
        from datalake_assets.accounts.aws_errors import aws_errors

        bucket, key = split_s3(self.uri)
        with aws_errors(self.uri):
            self._client(bucket).put_object(Bucket=bucket, Key=key, Body=data, ContentType="application/json")

    def _read(self) -> bytes | None:
        if not is_s3(self.uri):
            try:
                return Path(self.uri).read_bytes()
            except FileNotFoundError:
                return None
            except OSError as error:
                raise ConfigurationError(f"the state cannot be read: {error}", where=self.uri) from error
        from datalake_assets.accounts.aws_errors import aws_errors

        bucket, key = split_s3(self.uri)
        client = self._client(bucket)
        with aws_errors(self.uri):
            try:
                return client.get_object(Bucket=bucket, Key=key)["Body"].read()
            except client.exceptions.NoSuchKey:
                return None

    def _client(self, bucket: str) -> "S3Client":
        return self._s3 or s3_client(bucket, self._account)


def state_name(uris: Sequence[str]) -> str:
    """A name for the crawl of these URIs, readable and their own; passwords of databases do not enter it."""
    plain = [re.sub(r"//[^/@]*@", "//", uri) for uri in uris]
    plain = [uri if "://" in uri else str(Path(uri).absolute()) for uri in plain]
    slug = re.sub(r"[^a-z0-9]+", "-", plain[0].lower()).strip("-")[-60:].strip("-") or "crawl"
    told = "\0".join(plain).encode("utf-8", "surrogateescape")
    return f"{slug}-{hashlib.sha256(told).hexdigest()[:8]}"


def classifiers_hash(options: CrawlOptions) -> str:
    """A hash of all that decides what a sample says: the built-in code, custom classifiers, how much is read."""
    digest = hashlib.sha256(_code_hash())
    digest.update(repr(options.custom).encode())
    digest.update(f"{options.sample_bytes}".encode())
    return digest.hexdigest()[:16]


@cache
def _code_hash() -> bytes:
    digest = hashlib.sha256()
    package = Path(__file__).parent.parent
    for path in sorted([*(package / "discovery").rglob("*.py"), *(package / "formats").rglob("*.py")]):
        digest.update(path.read_bytes())
    return digest.digest()
