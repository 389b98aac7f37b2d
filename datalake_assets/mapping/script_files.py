"""The raw files of a program and where its results go: local folders or S3."""

import argparse
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from datalake_assets.mapping.script_reader import BadFile, Row, Source, read_csv


@dataclass(frozen=True)
class Mapping:
    """One pipeline: how its files are read, and the statements that make good rows and quarantine of them.

    `checked` reads the table `records` and becomes `checked`, which the other two read.
    """

    name: str
    source: Source
    patterns: tuple[str, ...]
    fail_above: float
    checked: str
    good: str
    quarantine: str


def read_arguments(mapping: Mapping, arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"Map raw files of {mapping.name} to Parquet.")
    parser.add_argument("--input", required=True, help="a file, a folder, or s3://bucket/prefix")
    parser.add_argument("--output", required=True, help="a folder or s3://bucket/prefix that is empty")
    parser.set_defaults(partition=None)
    if any("{" in pattern for pattern in mapping.patterns):
        parser.add_argument("--partition", help=f"only its files, by {' or '.join(mapping.patterns)} below the input")
    return parser.parse_args(arguments)


def find_files(root: str, patterns: Sequence[str], partition: str | None) -> list[str]:
    """The paths or URIs of the raw files, sorted; with a partition those whose place below the root fits a pattern.

    Raises:
        BadFile: there is none.
    """
    found = _s3_files(root) if is_s3(root) else _local_files(root)
    if partition is not None:
        wanted = [re.compile(pattern_regex(pattern, partition)) for pattern in patterns]
        base = len(root.rstrip("/")) + 1
        found = [name for name in found if any(regex.fullmatch(name[base:]) for regex in wanted)]
    if not found:
        told = "" if partition is None else f" that fits {' or '.join(patterns)} for {partition}"
        raise BadFile(f"{root}: there is no file{told}")
    return sorted(found)


def pattern_regex(pattern: str, partition: str) -> str:
    """The pattern of a key for one partition: * within a folder, ** over folders, {partition} or {%Y}, {%m}, {%d}."""
    words = {
        "**": ".*",
        "*": "[^/]*",
        "{partition}": re.escape(partition),
        "{%Y}": partition[0:4],
        "{%m}": partition[5:7],
        "{%d}": partition[8:10],
    }
    parts = re.split(r"(\*\*|\*|\{partition\}|\{%[Ymd]\})", pattern)
    return "".join(words[part] if part in words else re.escape(part) for part in parts)


def is_s3(name: str) -> bool:
    return name.startswith(("s3://", "s3a://"))


def read_rows(uri: str, source: Source) -> Iterator[Row]:
    """All records of one raw file."""
    with open_file(uri) as stream:
        try:
            yield from read_csv(stream, uri, source)
        except BadFile as error:
            raise BadFile(str(error) if uri in str(error) else f"{uri}: {error}") from error


def open_file(uri: str) -> IO[bytes]:
    """The bytes of a raw file, seekable; those of an S3 object come to the local disk first."""
    if not is_s3(uri):
        return Path(uri).open("rb")
    bucket, key = _bucket_and_key(uri)
    copy = tempfile.TemporaryFile()  # noqa: SIM115  (whoever reads it closes it)
    _s3().download_fileobj(bucket, key, copy)
    copy.seek(0)
    return copy


def upload(folder: Path, target: str) -> None:
    """Copy a local folder to S3."""
    bucket, prefix = _bucket_and_key(target)
    for path in sorted(folder.rglob("*.parquet")):
        key = f"{prefix.rstrip('/')}/{path.relative_to(folder).as_posix()}".lstrip("/")
        _s3().upload_file(str(path), bucket, key)


def report(mapping: Mapping, files: int, good: int, bad: int, dropped: int) -> int:
    """Tell what was done; the exit code is 1 when too many rows are bad."""
    repeated = f", {dropped} repeated rows left out" if dropped else ""
    print(f"{mapping.name}: {files} file{'s'[: files - 1]}, {good} good rows, {bad} set aside{repeated}")
    if bad and bad / (good + bad + dropped) > mapping.fail_above:
        print(f"{mapping.name}: more than {mapping.fail_above:.6g} of the rows are bad; see the quarantine")
        return 1
    return 0


def _local_files(root: str) -> list[str]:
    path = Path(root)
    if path.is_file():
        return [root]
    below = (each for each in path.rglob("*") if each.is_file())
    return [
        f"{root.rstrip('/')}/{each.relative_to(path).as_posix()}"
        for each in below
        if not any(part.startswith((".", "_")) for part in each.relative_to(path).parts)
    ]


def _s3_files(root: str) -> list[str]:
    bucket, prefix = _bucket_and_key(root)
    pages = _s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    objects = [each for page in pages for each in page.get("Contents", ()) if each["Size"]]
    return [f"s3://{bucket}/{each['Key']}" for each in objects]


def _bucket_and_key(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.split("://", 1)[1].partition("/")
    return bucket, key


def _s3() -> Any:
    import boto3

    return boto3.client("s3")
