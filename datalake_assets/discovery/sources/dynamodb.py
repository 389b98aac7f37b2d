"""Crawl tables of DynamoDB: their keys as declared, everything else from a sample of their items."""

import json
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlsplit

from datalake_assets.discovery.columns.node import MAX_COLUMNS, Node, Number
from datalake_assets.discovery.columns.of_node import columns_of
from datalake_assets.discovery.columns.target_names import unique_names
from datalake_assets.discovery.crawl_options import CrawlOptions
from datalake_assets.discovery.report import CrawlReport, DiscoveredTable, Skipped
from datalake_assets.errors import ConfigurationError, PlatformError

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE_ITEMS = 1_000  # of one table
PAGE_ITEMS = 250
MAX_BINARY_SHOWN = 40


def crawl_dynamodb(uri: str, options: CrawlOptions, *, client: Any = None) -> CrawlReport:
    """One table (`dynamodb://orders`) or all tables of an account's region (`dynamodb://`).

    Reading is bounded to `SAMPLE_ITEMS` and to `options.sample_bytes` of each table, and costs read capacity.

    Raises:
        AccessDenied, Unavailable, ConfigurationError: it cannot be reached, or there is no such table.
    """
    parts = urlsplit(uri)
    words = parse_qs(parts.query)
    if parts.path.strip("/"):
        raise ConfigurationError(f"{uri!r} names no table", expected="dynamodb://table or dynamodb://")
    table = uri.removeprefix("dynamodb://").partition("?")[0].strip("/")  # names keep their case
    region = words.get("region", [None])[-1]
    client = client or _client(words.get("account", [options.account])[-1], region)
    names = [table] if table else list(_names(client))
    tables: list[DiscoveredTable] = []
    skipped: list[Skipped] = []
    read_bytes = 0
    for name in names:
        try:
            found, size = _table(client, name, options.sample_bytes)
        except PlatformError as error:
            if table:
                raise
            skipped.append(Skipped(f"dynamodb://{name}", type(error).__name__, error.found))
            continue
        tables.append(found)
        read_bytes += size
    import dataclasses

    valid = unique_names([each.name for each in tables], prefix="table")
    return CrawlReport(
        uris=(uri,),
        tables=tuple(dataclasses.replace(each, name=name) for each, name in zip(tables, valid, strict=True)),
        skipped=tuple(skipped),
        skipped_files=len(skipped),
        read_bytes=read_bytes,
    )


def _client(account: str | None, region: str | None) -> Any:
    from datalake_assets.accounts.aws_errors import aws_errors
    from datalake_assets.accounts.sessions import client_config, session

    with aws_errors("dynamodb"):
        if account is not None:
            from datalake_assets.accounts.registry import registry

            return cast(Any, session(registry().account(account).name)).client("dynamodb", region)
        import boto3

        own = boto3.Session()
        return own.client("dynamodb", region_name=region or own.region_name or "us-east-1", config=client_config())


def _names(client: Any) -> "Iterator[str]":
    from datalake_assets.accounts.aws_errors import aws_errors

    with aws_errors("dynamodb://"):
        for page in client.get_paginator("list_tables").paginate():
            yield from page["TableNames"]


def _table(client: Any, name: str, sample_bytes: int) -> tuple[DiscoveredTable, int]:
    from datalake_assets.accounts.aws_errors import aws_errors

    where = f"dynamodb://{name}"
    with aws_errors(where):
        described = client.describe_table(TableName=name)["Table"]
    keys = [key["AttributeName"] for key in described["KeySchema"]]
    root = Node(max_fields=MAX_COLUMNS)
    for key in keys:  # first, in their order
        root.fields[key] = Node()
    items, size = 0, 0
    start: dict[str, Any] = {}
    is_all = False
    while items < SAMPLE_ITEMS and size < sample_bytes:
        with aws_errors(where):
            answer = client.scan(TableName=name, Limit=min(PAGE_ITEMS, SAMPLE_ITEMS - items), **start)
        for item in answer["Items"]:
            items += 1
            size += len(json.dumps(item, default=str))
            root.add({attribute: plain(value) for attribute, value in item.items()})
        if not (following := answer.get("LastEvaluatedKey")):
            is_all = True
            break
        start = {"ExclusiveStartKey": following}
    root.flush(where)
    columns = columns_of(root, infers_texts=False, is_flat=False)
    rows = items if is_all else described.get("ItemCount")
    by_path = {column.raw_path: column.name for column in columns}
    table = DiscoveredTable(
        name=name,
        uri=where,
        source=None,
        classification=None,
        columns=columns,
        sampled_rows=items,
        sampled_bytes=size,
        bytes=described.get("TableSizeBytes", 0),
        notes=() if is_all else (f"{items:,} items were read; DynamoDB counts them every six hours",),
        kind="dynamodb",
        rows=rows,
        key_columns=tuple(by_path[key] for key in keys if key in by_path),
    )
    return table, size


def plain(value: dict[str, Any]) -> Any:
    """An attribute value of DynamoDB's own JSON as plain JSON; sets become arrays, bytes their beginning as text."""
    ((kind, inner),) = value.items()
    if kind == "NULL":
        return None
    if kind == "N":
        return Number(inner)
    if kind == "M":
        return {key: plain(each) for key, each in inner.items()}
    if kind == "L":
        return [plain(each) for each in inner]
    if kind == "NS":
        return [Number(each) for each in inner]
    if kind == "B":
        return inner[:MAX_BINARY_SHOWN].hex()
    if kind == "BS":
        return [each[:MAX_BINARY_SHOWN].hex() for each in inner]
    return inner
