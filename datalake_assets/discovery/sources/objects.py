"""Objects to look at, in S3 or in a folder: listed page by page, read in ranges, never more than asked for.

    for found in list_objects("s3://raw/flights"):
        sample = sample_of(found)

An `s3://` bucket that the account registry names is reached with that account's role, every other bucket with the
credentials of whoever calls; `account` decides where the registry does not.
"""

import datetime as dt
import hashlib
import io
import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from datalake_assets.discovery.classifiers.sample import SAMPLE_BYTES, Sample
from datalake_assets.discovery.sources.object_files import LocalErrors, LocalFile, S3File
from datalake_assets.discovery.sources.uris import is_s3, local_path, split_s3
from datalake_assets.errors import PlatformError, Unavailable, UnreadableObject

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEYS_PER_PAGE = 1_000  # the most that S3 gives at once
RANGE_BYTES = 256 * 1024  # of one range request; a Parquet footer usually fits

__all__ = [
    "FoundObject",
    "account_of",
    "download",
    "is_s3",
    "list_objects",
    "local_path",
    "open_object",
    "s3_client",
    "sample_of",
    "split_s3",
]

Failed = Callable[[str, PlatformError], None]


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One object of a listing.

    `key` is the key within the bucket; for a local file its path below the folder that was listed, with slashes.
    `etag` changes whenever the content does: S3's own, or the size and time of a local file.
    """

    uri: str
    key: str
    size: int
    etag: str
    modified_at: dt.datetime

    @property
    def is_local(self) -> bool:
        return not is_s3(self.uri)

    @property
    def bucket(self) -> str | None:
        return None if self.is_local else split_s3(self.uri)[0]

    @property
    def name(self) -> str:
        """The last segment of the key."""
        return self.key[self.key.rfind("/") + 1 :]


def list_objects(
    uri: str, *, s3: "S3Client | None" = None, account: str | None = None, failed: Failed | None = None
) -> Iterator[FoundObject]:
    """Yield every object below a URI in the order of keys: all of a prefix or folder, or the one that it names.

    Args:
        uri: `s3://bucket/prefix`, `file:///folder` or a path. `s3://b/flights` is `flights` and `flights/…`, never
            `flights_old/…`.
        s3: the client to list with, that of the bucket's account by default.
        account: whose role to use, by name or id.
        failed: told of a local folder that cannot be listed, which is then left out; without it that is an error.

    Raises:
        AccessDenied, Unavailable, Throttled, ConfigurationError: the listing is not complete.
    """
    if is_s3(uri):
        yield from _list_s3(uri, s3 or s3_client(split_s3(uri)[0], account))
    else:
        yield from _list_local(local_path(uri), failed)


def open_object(found: FoundObject, *, s3: "S3Client | None" = None, account: str | None = None) -> BinaryIO:
    """Open an object as a seekable file that fetches only the ranges that are read.

    Its errors are those of the platform: AccessDenied, UnreadableObject, Unavailable, ConcurrentChange when the object
    was replaced since it was listed.
    """
    raw: io.RawIOBase
    raw = (
        LocalFile(found.uri)
        if found.is_local
        else S3File(found.uri, found.size, found.etag, s3 or _client_of(found, account))
    )
    return io.BufferedReader(raw, RANGE_BYTES)


def sample_of(
    found: FoundObject, *, s3: "S3Client | None" = None, account: str | None = None, sample_bytes: int = SAMPLE_BYTES
) -> Sample:
    """Fetch the beginning of an object, in one request."""
    client = None if found.is_local else (s3 or _client_of(found, account))
    wanted = min(sample_bytes, found.size)
    head = b""
    if wanted:
        reader = LocalFile(found.uri) if client is None else S3File(found.uri, found.size, found.etag, client)
        with reader:
            head = reader.at(0, wanted)
    return Sample(uri=found.uri, head=head, size=found.size, open=lambda: open_object(found, s3=client))


def download(found: FoundObject, folder: Path, *, s3: "S3Client | None" = None, account: str | None = None) -> Path:
    """Copy an object into `folder` and return the copy; a local file stays where it is.

    The copy's name ends as the object's does and is the same for the same object.
    """
    if found.is_local:
        return local_path(found.uri)
    from datalake_assets.accounts.aws_errors import aws_errors

    bucket, key = split_s3(found.uri)
    name = re.sub(r"[^A-Za-z0-9._-]", "_", found.name)[-100:]
    target = folder / f"{hashlib.sha256(found.uri.encode()).hexdigest()[:12]}-{name}"
    client = s3 or _client_of(found, account)
    with aws_errors(found.uri):
        client.download_file(bucket, key, str(target))
    return target


def account_of(bucket: str, account: str | None = None) -> str | None:
    """The registry's name of the account that a bucket belongs to, or that was asked for; None for foreign buckets.

    Raises:
        ConfigurationError: no such account.
    """
    from datalake_assets.accounts.registry import registry

    if account is not None:
        return registry().account(account).name
    return next((each.name for each in registry() if bucket in (each.raw_bucket, each.lake_bucket)), None)


def s3_client(bucket: str, account: str | None = None) -> "S3Client":
    """The client that reads a bucket: with the role of its account, or with the caller's own credentials."""
    from datalake_assets.accounts.sessions import session

    owner = account_of(bucket, account)
    return session(owner).client("s3") if owner else _own_client(os.environ.get("AWS_ENDPOINT_URL"))


@cache
def _own_client(endpoint: str | None) -> "S3Client":
    """One client for each endpoint that the environment named since the process began."""
    import boto3

    from datalake_assets.accounts.aws_errors import aws_errors
    from datalake_assets.accounts.sessions import client_config

    session = boto3.Session()
    with aws_errors("S3"):
        return session.client("s3", region_name=session.region_name or "us-east-1", config=client_config())


def _client_of(found: FoundObject, account: str | None) -> "S3Client":
    return s3_client(split_s3(found.uri)[0], account)


def _list_s3(uri: str, s3: "S3Client") -> Iterator[FoundObject]:
    bucket, prefix = split_s3(uri)
    if prefix and not prefix.endswith("/"):
        # If there is an object of exactly this name, it is the first of the listing.
        for found in _page(s3, bucket, prefix, 1, {})[0]:
            if found.key == prefix:
                yield found
        prefix += "/"
    token: dict[str, str] | None = {}
    while token is not None:
        objects, token = _page(s3, bucket, prefix, KEYS_PER_PAGE, token)
        yield from objects


def _page(
    s3: "S3Client", bucket: str, prefix: str, keys: int, token: dict[str, str]
) -> tuple[list[FoundObject], dict[str, str] | None]:
    from datalake_assets.accounts.aws_errors import aws_errors

    where = f"s3://{bucket}/{prefix}"
    with aws_errors(where):
        answer = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=keys, **token)  # type: ignore[arg-type]
    objects = [
        FoundObject(f"s3://{bucket}/{o['Key']}", o["Key"], o["Size"], o["ETag"].strip('"'), o["LastModified"])
        for o in answer.get("Contents", [])
    ]
    if not answer.get("IsTruncated"):
        return objects, None
    if not (following := answer.get("NextContinuationToken")):
        raise Unavailable("the listing broke off without a continuation", where=where)
    return objects, {"ContinuationToken": following}


def _list_local(path: Path, failed: Failed | None) -> Iterator[FoundObject]:
    with LocalErrors(str(path)):
        status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        yield from _walk(path, "", failed)
    elif not stat.S_ISREG(status.st_mode):
        raise UnreadableObject(
            "it is a pipe, socket or device, which cannot be read twice",
            where=str(path),
            expected="a file or a folder",
            todo="Write what it gives to a file first.",
        )
    else:
        yield _found(path, path.name, status)


def _walk(folder: Path, below: str, failed: Failed | None) -> Iterator[FoundObject]:
    try:
        with LocalErrors(str(folder)), os.scandir(folder) as listed:
            # As S3 orders keys: a folder sorts with the slash behind its name. Links to folders could form a circle.
            entries = sorted((e.name + ("/" if e.is_dir(follow_symlinks=False) else ""), e) for e in listed)
    except PlatformError as error:
        if failed is None or not below:
            raise
        failed(str(folder), error)
        return
    for name, entry in entries:
        path = folder / entry.name
        if name.endswith("/"):
            yield from _walk(path, below + name, failed)
            continue
        try:
            with LocalErrors(str(path)):
                status = entry.stat()
        except PlatformError as error:  # a link that leads nowhere, a file deleted meanwhile
            if failed is None:
                raise
            failed(str(path), error)
            continue
        if stat.S_ISREG(status.st_mode):
            yield _found(path, below + name, status)


def _found(path: Path, key: str, status: os.stat_result) -> FoundObject:
    modified_at = dt.datetime.fromtimestamp(status.st_mtime, dt.UTC)
    return FoundObject(str(path), key, status.st_size, f"{status.st_size:x}-{status.st_mtime_ns:x}", modified_at)
