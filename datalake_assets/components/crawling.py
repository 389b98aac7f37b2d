"""Run a declared crawl and tell its report as metadata of the asset. Imported by runs only."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from datalake_assets.components.crawl_spec import CrawlSpec
from datalake_assets.discovery.report import Change, CrawlReport, DiscoveredTable

MAX_SHOWN = 200  # changes, tables or files in one metadata value; a report of thousands would not be read


def crawl_again(
    context: dg.AssetExecutionContext, location: str, spec: CrawlSpec, *, folder: Path
) -> "dg.MaterializeResult[None]":
    """Crawl as declared and tell what was found and what changed.

    Raises:
        PlatformError: nothing could be crawled; what was known stays as it is.
    """
    raise NotImplementedError


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
