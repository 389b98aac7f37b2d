"""Crawl whatever URIs name, with the memory of the crawl before: objects, databases, tables of DynamoDB."""

import dataclasses
import datetime as dt
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from datalake_assets.discovery.changes import Deleted, Policy, apply, compare
from datalake_assets.discovery.columns.target_names import unique_names
from datalake_assets.discovery.crawl import Crawled, crawl_objects
from datalake_assets.discovery.crawl_options import CrawlOptions, Progress
from datalake_assets.discovery.report import Change, CrawlReport, DiscoveredTable
from datalake_assets.discovery.state import CrawlState, Seen, StateStore, classifiers_hash

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DATABASE_SCHEMES = ("postgresql://", "postgres://", "dynamodb://")
_DEPRECATED = "deprecated: "  # how the note of a table begins whose data vanished


def without_password(uri: str) -> str:
    """A URI that can be shown: user and password left out."""
    return re.sub(r"//[^/]*@", "//", uri) if uri.startswith(DATABASE_SCHEMES) else uri


def crawl_uris(
    uris: Sequence[str],
    options: CrawlOptions | None = None,
    *,
    store: StateStore | None = None,
    policy: Policy = "update",
    deleted: Deleted = "keep",
    s3: "S3Client | None" = None,
    progress: Progress | None = None,
    now: dt.datetime | None = None,
) -> CrawlReport:
    """Crawl URIs of all kinds; with a `store`, say what changed since the crawl before and remember this one.

    Args:
        store: where the state is; None forgets.
        policy: what becomes of changes; see `changes.apply`. The report's tables are what it leaves.
        deleted: what becomes of tables that vanished.

    Raises:
        PlatformError: nothing could be listed, or the state could not be read or written.
    """
    options = options or CrawlOptions()
    before = store.load() if store is not None else None
    classifiers = classifiers_hash(options)
    is_same = before is not None and before.classifiers == classifiers
    seen = Seen()
    found = _crawl(uris, options, before if is_same else None, seen, s3, progress)
    report = found.report
    vanished = dict(before.vanished) if before else {}
    if before is not None:
        old = before.tables
        if found.failed:
            # What was not listed did not vanish.
            names = {table.name for table in report.tables}
            report = dataclasses.replace(
                report, tables=(*report.tables, *(table for table in old if table.name not in names))
            )
        changes = [] if is_same else [Change("classifier", "changed", "classifiers", before.classifiers, classifiers)]
        names = {table.name for table in report.tables}
        # Told once; but one that was kept is told again when it is to be deprecated or removed now.
        settled = {
            table.name
            for table in old
            if table.name in vanished
            and (table.name in names or deleted == "keep" or policy == "report" or _is_done(table, deleted))
        }
        changes += compare((table for table in old if table.name not in settled), report.tables)
        tables, told = apply(old, report.tables, changes, policy=policy, deleted=deleted)
        report = dataclasses.replace(report, tables=tables, changes=told)
        present = {table.name for table in found.report.tables}
        moment = f"{now or dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
        for change in told:
            if change.applied in ("kept", "deprecated") and change.what == "table":
                vanished.setdefault(change.name, moment)
        remaining = {table.name for table in tables}
        vanished = {name: at for name, at in vanished.items() if name in remaining and name not in present}
        if vanished and deleted == "deprecate":
            report = dataclasses.replace(report, tables=tuple(_noted(table, vanished) for table in tables))
    if store is not None:
        plain = tuple(without_password(uri) for uri in uris)
        store.save(CrawlState(plain, classifiers, report.tables, tuple(found.profiles), seen, found.rejected, vanished))
    return report


def _is_done(table: DiscoveredTable, deleted: Deleted) -> bool:
    return deleted == "deprecate" and any(note.startswith(_DEPRECATED) for note in table.notes)


def _noted(table: DiscoveredTable, vanished: dict[str, str]) -> DiscoveredTable:
    if table.name not in vanished:
        return table
    note = f"{_DEPRECATED}its data vanished, first noticed {vanished[table.name]}"
    return dataclasses.replace(table, notes=(*(n for n in table.notes if not n.startswith(_DEPRECATED)), note))


def _crawl(
    uris: Sequence[str],
    options: CrawlOptions,
    before: CrawlState | None,
    seen: Seen,
    s3: "S3Client | None",
    progress: Progress | None,
) -> Crawled:
    objects = [uri for uri in uris if not uri.startswith(DATABASE_SCHEMES)]
    databases = [uri for uri in uris if uri.startswith(DATABASE_SCHEMES)]
    if objects:
        found = crawl_objects(
            objects, options, known=before.known() if before else None, remember=seen.add, s3=s3, progress=progress
        )
    else:
        found = Crawled(CrawlReport((), ()))
    if not databases:
        return found
    from datalake_assets.discovery.sources.databases import crawl_database

    reports = [found.report, *(crawl_database(uri, options) for uri in databases)]
    tables = [table for report in reports for table in report.tables]
    names = unique_names([table.name for table in tables], prefix="table")
    named = (dataclasses.replace(table, name=name) for table, name in zip(tables, names, strict=True))
    report = dataclasses.replace(
        found.report,
        uris=tuple(without_password(uri) for uri in uris),
        tables=tuple(sorted(named, key=lambda table: table.name)),
        skipped=tuple(each for report in reports for each in report.skipped),
        skipped_files=sum(report.skipped_files for report in reports),
        notes=tuple(note for report in reports for note in report.notes),
    )
    return dataclasses.replace(found, report=report)
