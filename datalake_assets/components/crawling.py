"""Run a declared crawl and tell its report as metadata of the asset. Imported by runs only."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from datalake_assets.components.words.crawl_spec import CrawlSpec
from datalake_assets.discovery.report import Change, CrawlReport, DiscoveredTable
from datalake_assets.errors import TransientError

MAX_RETRIES = 2
RETRY_SECONDS = 30
MAX_SHOWN = 200  # changes, tables or files in one metadata value; a report of thousands would not be read


def crawl_again(
    context: dg.AssetExecutionContext, location: str, spec: CrawlSpec, *, folder: Path
) -> "dg.MaterializeResult[None]":
    """Crawl as declared, register what was found if asked for, and tell it with what changed.

    Raises:
        RetryRequested: a service did not answer, and there are attempts left.
        Failure: nothing could be crawled, or a table could not be registered; the message says which and why.
    """
    try:
        report = _report(location, spec, folder)
        failed = list(_registered(context, report, location, spec))
    except TransientError as error:
        if context.retry_number < MAX_RETRIES:
            raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=RETRY_SECONDS) from error
        raise
    for change in report.changes or ():
        context.log.info(f"{change.what} {change.name} is {change.how}")
    if failed:
        raise dg.Failure("\n".join(failed), metadata=report_metadata(report), allow_retries=False)
    return dg.MaterializeResult(metadata=report_metadata(report))


def _report(location: str, spec: CrawlSpec, folder: Path) -> CrawlReport:
    if spec.crawler == "glue":
        from datalake_assets.discovery.sources.glue_crawler import crawl_by_glue

        return crawl_by_glue(
            spec.uris,
            account=location,
            database=spec.database,
            exclude=spec.exclude,
            table_level=spec.table_level,
            policy=spec.policy,
            deleted=spec.deleted,
        )
    from datalake_assets.accounts.registry import registry
    from datalake_assets.discovery.again import crawl_uris
    from datalake_assets.discovery.classifiers.custom import read_classifiers
    from datalake_assets.discovery.classifiers.sample import SAMPLE_BYTES
    from datalake_assets.discovery.crawl import DEFAULT_SAMPLE_FILES, CrawlOptions
    from datalake_assets.discovery.state import STATE_PREFIX, StateStore

    options = CrawlOptions(
        sample_files=spec.sample_files or DEFAULT_SAMPLE_FILES,
        sample_bytes=spec.sample_bytes or SAMPLE_BYTES,
        exclude=spec.exclude,
        table_level=spec.table_level,
        custom=read_classifiers(folder / spec.classifiers) if spec.classifiers else (),
        account=location,
    )
    # Of the asset, not of the URIs: two crawls of one prefix with other policies do not share their memory.
    bucket = registry().account(location).lake_bucket
    store = StateStore(f"s3://{bucket}/{STATE_PREFIX}asset-{location}-{spec.name}.json", account=location)
    return crawl_uris(spec.uris, options, store=store, policy=spec.policy, deleted=spec.deleted)


def _registered(
    context: dg.AssetExecutionContext, report: CrawlReport, location: str, spec: CrawlSpec
) -> Iterator[str]:
    """Write the report to the catalog; the tables that failed, each with its reason."""
    # A Glue crawler has registered what it found itself.
    if not spec.register_tables or spec.policy == "report" or spec.crawler == "glue" or not report.tables:
        return
    from datalake_assets.ingest.register import register_report

    for done in register_report(report, account=location, database=spec.database, deleted=spec.deleted):
        if done.error:
            yield f"{done.name}: {done.error}"
        else:
            context.log.info(f"{done.name}: {done.what}")


def report_metadata(report: CrawlReport) -> dict[str, Any]:
    """A crawl's report as metadata: numbers that the UI plots, tables and changes as pages to read."""
    changes = report.changes or ()
    metadata: dict[str, Any] = {
        "tables": len(report.tables),
        "columns": sum(len(table.columns) for table in report.tables),
        "partitions": sum(len(table.partitions) for table in report.tables),
        "listed_files": report.listed_files,
        "listed_bytes": report.listed_bytes,
        "read_files": report.read_files,
        "read_bytes": report.read_bytes,
        "skipped_files": report.skipped_files,
        "changes": len(changes),
        "found": dg.MetadataValue.md(_tables_page(report.tables)),
        "changed": dg.MetadataValue.md(_changes_page(report.changes)),
    }
    if report.skipped:
        lines = (f"- {_code(each.uri)}: {_plain(each.reason)}" for each in report.skipped[:MAX_SHOWN])
        metadata["skipped"] = dg.MetadataValue.md("\n".join(lines) + _more(len(report.skipped)))
    if report.notes:
        metadata["notes"] = dg.MetadataValue.md("\n".join(f"- {_plain(each)}" for each in report.notes))
    return metadata


def _tables_page(tables: Sequence[DiscoveredTable]) -> str:
    if not tables:
        return "No table was found."
    lines = ["| table | format | columns | files | certainty | where |", "|---|---|---|---|---|---|"]
    for table in tables[:MAX_SHOWN]:
        written = table.source.format if table.source else table.kind
        cells = (table.name, written, len(table.columns), table.files, f"{table.certainty:.2f}", _code(table.uri))
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    pages = ["\n".join(lines) + _more(len(tables))]
    pages += [f"**{table.name}**\n\n" + "\n".join(_columns(table)) for table in tables[: MAX_SHOWN // 10]]
    return "\n\n".join(pages)


def _columns(table: DiscoveredTable) -> Iterator[str]:
    yield "| column | type | raw | nulls | certainty | to look at |"
    yield "|---|---|---|---|---|---|"
    for column in table.columns[:MAX_SHOWN]:
        doubts = [f"{each.count} look like {each.type}" for each in column.conflicts] + list(column.notes)
        nulls = f"{column.nulls} of {column.count}"
        type_and_path = f"{_code(str(column.type))} | {_code(column.raw_path)}"
        yield f"| {column.name} | {type_and_path} | {nulls} | {column.certainty:.2f} | {_plain('; '.join(doubts))} |"


def _changes_page(changes: Sequence[Change] | None) -> str:
    if changes is None:
        return "The first crawl: there is nothing to compare with."
    if not changes:
        return "Nothing changed since the crawl before."
    lines = []
    for each in changes[:MAX_SHOWN]:
        values = f": {_code(each.before or '')} → {_code(each.after or '')}" if each.before or each.after else ""
        applied = f" ({_plain(each.applied)})" if each.applied else ""
        lines.append(f"- {each.what} {_code(each.name)} is {each.how}{values}{applied}")
    return "\n".join(lines) + _more(len(changes))


def _more(number: int) -> str:
    return f"\n\nand {number - MAX_SHOWN:,} more" if number > MAX_SHOWN else ""


def _code(text: str) -> str:
    """A text of the data as code: nothing in it is markup."""
    shown = " ".join(text.split()).replace("`", "'").replace("|", "\\|")
    return f"`{shown}`" if shown else ""


def _plain(text: str) -> str:
    shown = " ".join(text.split())
    for letter in "\\`*_[]<>|":
        shown = shown.replace(letter, "\\" + letter)
    return shown
