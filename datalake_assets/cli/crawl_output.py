"""How `datalake crawl` shows its report: table after table, then what changed."""

from collections import Counter
from collections.abc import Iterator

import click

from datalake_assets.cli.output import Column, count, extra, number, prose, show_table, size
from datalake_assets.discovery.report import Change, CrawlReport, DiscoveredColumn, DiscoveredTable

MAX_CHANGES = 50
MAX_SKIPPED = 20
MAX_CELL = 60  # characters
_INDENT = "  "


def show_report(report: CrawlReport) -> None:
    """Print tables and changes; skipped objects and numbers go to the error stream."""
    for table in report.tables:
        _show_table(table)
    if report.changes is not None:
        _show_changes(report.changes)
    _show_rest(report)


def _show_table(table: DiscoveredTable) -> None:
    click.echo(" · ".join(_heading(table)))
    click.echo(f"{_INDENT}{table.uri}")
    if table.classification is not None:
        click.echo(f"{_INDENT}{table.classification.reason}")
    if table.layout_pattern:
        click.echo(f"{_INDENT}pattern {table.layout_pattern}")
    for key in table.partition_keys:
        examples = ", ".join(key.examples[:3]) + (" …" if key.values > 3 else "")
        told = f" ({key.format})" if key.format else ""
        click.echo(f"{_INDENT}partition {key.name} {key.type}{told}: {count(key.values, 'value')}, {examples}")
    for note in table.notes:
        click.echo(f"{_INDENT}note: {note}")
    columns: list[Column | str] = [
        "column",
        "type",
        number("sure"),
        number("nulls", is_extra=True),
        extra("raw"),
        extra("examples"),
        prose("notes"),
    ]
    show_table(columns, list(_rows(table.columns)))
    click.echo()


def _heading(table: DiscoveredTable) -> Iterator[str]:
    yield table.name
    yield _written(table)
    if table.files:
        yield f"{count(table.files, 'file')}, {size(table.bytes)}"
    if table.rows is not None:
        yield count(table.rows, "row")
    yield f"certainty {table.certainty:.2f}"


def _written(table: DiscoveredTable) -> str:
    source = table.source
    if source is None:
        return table.kind
    words: list[str] = [source.format]
    if source.format == "csv":
        words.append(f"delimiter {source.delimiter!r}")
        if source.header != 1:
            words.append("no header" if not source.header else f"{source.header} header rows")
        if source.skip_rows:
            words.append(f"{source.skip_rows} lines before it")
    elif source.format == "json" and source.layout != "auto":
        words.append(source.layout)
    elif source.format == "log":
        words.append(source.pattern or "")
    elif source.format == "xml":
        words.append(f"<{source.row_tag}>")
    if source.encoding != "utf-8":
        words.append(source.encoding)
    return " ".join(word for word in words if word)


def _rows(columns: tuple[DiscoveredColumn, ...], indent: str = "") -> Iterator[list[str]]:
    for column in columns:
        kind = column.type.kind if column.parts else str(column.type)
        told = f"{kind} {column.format}" if column.format else kind
        raw = _cut(column.raw_path) if column.raw_path != column.name else ""
        nulls = f"{column.nulls:,} of {column.count:,}" if column.count else ""
        notes = [
            *_separators(column),
            *column.notes,
            *(f"{each.count:,} {each.type}: {', '.join(each.examples[:3])}" for each in column.conflicts),
        ]
        examples = _cut(", ".join(column.examples[:3]))
        yield [indent + column.name, told, f"{column.certainty:.2f}", nulls, raw, examples, "; ".join(notes)]
        yield from _rows(column.parts, indent + "· ")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def _separators(column: DiscoveredColumn) -> Iterator[str]:
    if column.decimal is not None:
        yield f"decimal {column.decimal!r}"
    if column.thousands is not None:
        yield f"thousands {column.thousands!r}"


def _show_changes(changes: tuple[Change, ...]) -> None:
    if not changes:
        click.echo("nothing changed since the crawl before")
        return
    told = Counter((change.what, change.how) for change in changes)
    click.echo("changed since the crawl before: " + ", ".join(f"{n:,} {how} {what}" + ("s" if n > 1 else "") for (what, how), n in sorted(told.items())))  # fmt: skip  # noqa: E501
    rows = [
        [change.how, change.what, change.name, change.before or "", change.after or "", change.applied or ""]
        for change in changes[:MAX_CHANGES]
    ]
    show_table(["change", "what", "name", extra("before"), extra("after"), "applied"], rows)
    if len(changes) > MAX_CHANGES:
        click.echo(f"… and {len(changes) - MAX_CHANGES:,} more; --json has them all")


def _show_rest(report: CrawlReport) -> None:
    for skipped in report.skipped[:MAX_SKIPPED]:
        click.echo(f"skipped {skipped.uri}: {skipped.reason}", err=True)
    if (rest := report.skipped_files - len(report.skipped[:MAX_SKIPPED])) > 0:
        click.echo(f"skipped {count(rest, 'more object')}", err=True)
    if report.ignored:
        told = ", ".join(count(n, kind) for kind, n in report.ignored)
        click.echo(f"left out {told}", err=True)
    for note in report.notes:
        click.echo(note, err=True)
    if report.listed_files:
        unchanged = f", {report.unchanged_files:,} unchanged" if report.unchanged_files else ""
        click.echo(
            f"{count(report.listed_files, 'object')} listed ({size(report.listed_bytes)}){unchanged}, "
            f"{report.read_files:,} read ({size(report.read_bytes)})",
            err=True,
        )
    if not report.tables:
        click.echo("Error: no table was found", err=True)
