"""Which objects a COPY reads: a prefix listed, or a manifest taken at its word."""

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datalake_assets.sandbox.redshift.copy.command import CopyCommand
from datalake_assets.sandbox.redshift.refusals import Refused

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

# Redshift's columnar reader takes such names for markers of other tools, like `_SUCCESS`.
_HIDDEN_STARTS = ("_", ".", "#")
_MANIFEST_LIMIT_BYTES = 100 * 1024 * 1024


@dataclass(frozen=True)
class CopyObject:
    """One object to load; `size` in bytes."""

    bucket: str
    key: str
    size: int

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class S3:
    """S3 as the SDK's own environment settings describe it; clients are made once per region, usable from threads."""

    def __init__(self) -> None:
        self._clients: dict[str | None, S3Client] = {}
        self._lock = threading.Lock()

    def client(self, region: str | None) -> "S3Client":
        with self._lock:
            if region not in self._clients:
                import boto3
                from botocore.config import Config

                config = Config(connect_timeout=3, read_timeout=30, retries={"mode": "standard", "max_attempts": 3})
                self._clients[region] = boto3.client("s3", region_name=region, config=config)
            return self._clients[region]


def s3_failure(error: Exception, doing: str) -> Refused:
    """What the client is told about a failed S3 call."""
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
        message = error.response.get("Error", {}).get("Message", "")
        return Refused("XX000", f"{doing} - S3ServiceException:{message},Status {status},Error {code}")
    return Refused(
        "58030", f"{doing}: S3 does not answer: {error}", hint="Is the sandbox running, and AWS_ENDPOINT_URL right?"
    )


def objects_to_load(s3: "S3Client", command: CopyCommand) -> list[CopyObject]:
    """Return the objects of a COPY in the order they are loaded; empty ones of a prefix are left out.

    Raises:
        Refused: the prefix or manifest does not exist, is malformed, names a missing mandatory object or another
            size than the object has, or S3 does not answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, key = command.source.removeprefix("s3://").partition("/")
    try:
        return _of_manifest(s3, bucket, key) if command.is_manifest else _of_prefix(s3, bucket, key)
    except (BotoCoreError, ClientError) as error:
        doing = "Problem reading manifest file" if command.is_manifest else "Problem listing the S3 prefix"
        raise s3_failure(error, f"{doing} {command.source}") from error


def _of_prefix(s3: "S3Client", bucket: str, prefix: str) -> list[CopyObject]:
    found: list[CopyObject] = []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        found += [CopyObject(bucket, item["Key"], item["Size"]) for item in page.get("Contents", [])]
    if not found:
        raise Refused("XX000", f"The specified S3 prefix '{prefix}' does not exist", detail=f"bucket: {bucket}")
    return [
        item
        for item in found
        if item.size and not (name := item.key.rsplit("/", 1)[-1]).startswith(_HIDDEN_STARTS) and not name.endswith("~")
    ]


def _of_manifest(s3: "S3Client", bucket: str, key: str) -> list[CopyObject]:
    answer = s3.get_object(Bucket=bucket, Key=key)
    if answer["ContentLength"] > _MANIFEST_LIMIT_BYTES:
        raise Refused("XX000", f"Manifest file s3://{bucket}/{key} has {answer['ContentLength']} bytes; too large")
    entries = _entries(answer["Body"].read(), f"s3://{bucket}/{key}")
    found: list[CopyObject] = []
    for entry in entries:
        item = _checked(s3, entry, f"s3://{bucket}/{key}")
        if item is not None:
            found.append(item)
    if not found:
        raise Refused("XX000", f"None of the files of manifest s3://{bucket}/{key} exists")
    return found


def _entries(body: bytes, manifest: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(body)
        entries: list[dict[str, Any]] = document["entries"]
        valid = isinstance(entries, list) and all(isinstance(entry["url"], str) for entry in entries)
    except (ValueError, KeyError, TypeError) as error:
        raise Refused("XX000", f"Manifest file {manifest} is not in the correct json format: {error!r}") from error
    if not valid or not entries:
        raise Refused("XX000", f"Manifest file {manifest} is not in the correct json format: no entries with an url")
    return entries


def _checked(s3: "S3Client", entry: dict[str, Any], manifest: str) -> CopyObject | None:
    from botocore.exceptions import ClientError

    url = entry["url"]
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or not key:
        raise Refused("XX000", f"Manifest file {manifest} has an invalid url '{url}'")
    expected = (entry.get("meta") or {}).get("content_length")
    if not isinstance(expected, int) or isinstance(expected, bool):
        raise Refused(
            "XX000",
            f"Manifest file {manifest} must contain meta.content_length for '{url}'",
            detail="COPY of columnar formats needs the size of each file in its manifest.",
        )
    try:
        size = s3.head_object(Bucket=bucket, Key=key)["ContentLength"]
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != 404:
            raise
        if entry.get("mandatory"):
            raise Refused("XX000", f"Mandatory url '{url}' of manifest {manifest} does not exist") from error
        return None
    if size != expected:
        raise Refused(
            "XX000",
            f"File size does not match the manifest: '{url}' has {size} bytes, content_length is {expected}",
            detail=f"manifest: {manifest}",
        )
    return CopyObject(bucket, key, size)
