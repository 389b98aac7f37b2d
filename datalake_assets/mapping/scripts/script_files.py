"""The raw files of a program and where its results go: local folders or S3."""

import argparse
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from datalake_assets.mapping.scripts.script_reader import BadFile, Row, Source


@dataclass(frozen=True)
class Mapping:
    """One pipeline: how its files are read, and the statements that make good rows and quarantine of them.

    `tables` are made one after the other, the first of the table `records` (and of `elements_1` ..., a table for each
    of the source's `elements`); `outputs` are written, each to the folder of its name: the first is good, the second
    quarantine. `mapped` counts the good rows with those that repeat others. `expand` makes elements of records.
    """

    name: str
    source: Source
    patterns: tuple[str, ...]
    fail_above: float
    read: Callable[[IO[bytes], str, Source], Iterator[Row]]
    tables: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    mapped: str
    expand: Callable[[Row, Source], Iterator[Row]] | None = None


def columns_of(source: Source) -> list[tuple[str, str]]:
    """Name and kind of what a row is to SQL: `number`, `text`, or `nested` with the number of its shape."""
    width = max([len(source.columns), *(len(each.paths) + len(each.outside or ()) for each in source.elements)])
    numbers = ["source_row", "level", *(f"p{each}" for each in range(_depth(source)))]
    texts = ["source_file", "reason", "raw", "surplus", "no_object"]
    texts += [f"a{each}" for each in range(_arrays(source))]
    texts += [f"c{each}" for each in range(width + len(source.keys))]
    found = [*((name, "number") for name in numbers), *((name, "text") for name in texts)]
    for number in range(len(source.shapes)):
        found += [(f"j{number}", f"nested {number}"), (f"u{number}", "text")]
    return found


def cells(row: Row, source: Source) -> list[Any]:
    """The values of a row in the order of `columns_of`."""
    width = max([len(source.columns), *(len(each.paths) + len(each.outside or ()) for each in source.elements)])
    places = [*row.places, *[None] * (_depth(source) - len(row.places))]
    wrong = [*row.wrong, *[None] * (_arrays(source) - len(row.wrong))]
    texts = [*row.texts, *[None] * (width + len(source.keys) - len(row.texts))]
    nested = row.nested or (None,) * (2 * len(source.shapes))
    told = (row.source_file, row.reason, row.raw, row.surplus, row.no_object)
    return [row.source_row, row.level, *places, *told, *wrong, *texts, *nested]


def _depth(source: Source) -> int:
    """How many positions an element has at most."""
    deepest = 0
    for number in range(len(source.elements)):
        depth, at = 0, number
        while True:
            depth += 1
            parent = source.elements[at].parent
            if parent is None:
                break
            at = parent
        deepest = max(deepest, depth)
    return deepest


def _arrays(source: Source) -> int:
    """How many arrays a record or an element has at most."""
    found = Counter(each.parent for each in source.elements)
    return max(found.values(), default=0)


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


def read_rows(uri: str, mapping: Mapping) -> Iterator[Row]:
    """All records of one raw file, each with its elements behind it."""
    source, expand = mapping.source, mapping.expand
    with open_file(uri) as stream:
        try:
            for row in mapping.read(stream, uri, source):
                if expand is None:
                    yield row
                else:
                    yield from expand(row, source)
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
