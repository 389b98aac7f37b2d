"""`datalake preview`: the rows of an unknown file, as they stand in it or normalised."""

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from datalake_assets.errors import ConfigurationError, PlatformError

if TYPE_CHECKING:
    from datalake_assets.cli.preview_output import Output
    from datalake_assets.discovery.classifiers.classification import Classification
    from datalake_assets.discovery.classifiers.custom import CustomClassifier
    from datalake_assets.discovery.preview import OpenedObject
    from datalake_assets.discovery.preview_rows import PreviewTable
    from datalake_assets.discovery.sources.objects import FoundObject
    from datalake_assets.formats.source_format import SourceFormat

DEFAULT_ROWS = 20
NAMED_COLUMNS = 12  # of those for which a terminal is too narrow


@click.command()
@click.argument("uri")
@click.option("--all", "is_all", is_flag=True, help="Every row of every object.")
@click.option("--rows", type=click.IntRange(min=1), help=f"How many rows; {DEFAULT_ROWS} by default.")
@click.option(
    "--format",
    "shape",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="csv: one header line, then the rows, as in RFC 4180. json: an object a line.",
)
@click.option("--typed", is_flag=True, help="Values as their column's type says, not in their original spelling.")
@click.option(
    "--classifier",
    metavar="TEXT",
    help="To try first: a grok pattern, regex:…, json:$.path, xml:tag, csv:delimiter=;, a known log.",
)
@click.option("--classifiers", metavar="FILE", type=click.Path(path_type=Path), help="YAML file of own classifiers.")
@click.option("--account", metavar="NAME", help="Whose role reads a bucket that the registry does not know.")
def preview(
    uri: str,
    is_all: bool,
    rows: int | None,
    shape: str,
    typed: bool,
    classifier: str | None,
    classifiers: Path | None,
    account: str | None,
) -> None:
    """Print the rows of URI as discovered: a file, a folder, an s3:// object or a prefix.

    The rows go to the standard output, what is said about them to the error stream. Exit status 1 if nothing is there,
    the format is unknown or an object breaks off.
    """
    if is_all and rows is not None:
        raise click.UsageError("--all and --rows exclude each other")
    from datalake_assets.cli.preview_output import Output

    limit = None if is_all else rows or DEFAULT_ROWS
    custom = _custom(classifier, classifiers)
    with tempfile.TemporaryDirectory(prefix="datalake-preview-") as folder:
        wanted = custom[0].name if classifier else None
        table = _table(uri, custom, wanted, folder=Path(folder), limit=limit, account=account)
        if classifier:
            _say_if_it_failed(custom[0].name, table.first.classification)
        try:
            if shape == "table":
                click.echo(describe(table.first.classification, table.first.source, table.first.found), err=True)
            output = Output()
            _write(table, shape, output, typed=typed)
            if output.has_replaced:
                click.echo(f"Bytes that are no {table.first.source.encoding} are shown as \ufffd.", err=True)
        except BrokenPipeError:
            # Whoever reads has seen enough. Python would complain again while it closes the stream.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return
    _say_what_is_missing(table)
    # Of a few rows, an object beside them that cannot be read is worth a message; of all rows, a part is missing.
    is_part = bool(table.failures) and (is_all or table.first.found.uri == uri)
    if is_part or (not table.rows and any(each.broken for each in table.read)):
        raise click.exceptions.Exit(1)


def _custom(classifier: str | None, classifiers: Path | None) -> "tuple[CustomClassifier, ...]":
    if classifier is None and classifiers is None:
        return ()
    from datalake_assets.discovery.classifiers.custom import classifier_from_text, read_classifiers

    on_the_spot = (classifier_from_text(classifier),) if classifier is not None else ()
    return (*on_the_spot, *(read_classifiers(classifiers) if classifiers is not None else ()))


def _table(
    uri: str,
    custom: "Sequence[CustomClassifier]",
    wanted: str | None,
    *,
    folder: Path,
    limit: int | None,
    account: str | None,
) -> "PreviewTable":
    from datalake_assets.discovery.preview import open_rows
    from datalake_assets.discovery.preview_rows import PreviewTable
    from datalake_assets.discovery.sources.objects import list_objects

    def opened(found: "FoundObject") -> "OpenedObject":
        return open_rows(found, folder=folder, is_whole=limit is None, custom=custom, wanted=wanted, account=account)

    failures: list[PlatformError] = []
    listed = list_objects(uri, account=account, failed=lambda _, error: failures.append(error))
    first = next(listed, None)
    if first is None:
        if failures:
            raise failures[0]
        raise ConfigurationError("there is nothing", where=uri, expected="a file, a folder or a prefix with files")
    if first.uri == uri or uri.endswith(f"/{first.name}"):
        objects: Iterator[FoundObject] = chain(
            [first], listed
        )  # named by itself, it is data whatever its name looks like
    else:
        objects = (each for each in chain([first], listed) if _is_data(each, uri))
    return PreviewTable(objects, opened, lambda text: click.echo(text, err=True), limit, failures)


def _is_data(found: "FoundObject", uri: str) -> bool:
    """Whether a row of an object below a prefix is expected: it is no marker, manifest, hidden or unfinished file."""
    from datalake_assets.discovery.layout import ignored_kind

    inner = found.uri.removeprefix(uri).lstrip("/")
    return found.size > 0 and ignored_kind(inner) is None


def _write(table: "PreviewTable", shape: str, output: "Output", *, typed: bool) -> None:
    from datalake_assets.cli import preview_output as out

    if shape == "json":
        out.write_json(_json_texts(table, typed=typed), output)
        return
    header, blocks = table.flat() if table.is_flat else table.nested(is_complete=shape == "csv" and table.limit is None)
    if typed:
        from datalake_assets.discovery.columns.typed import typed_cells

        blocks = typed_cells(table.first, header, blocks)
    if shape == "csv":
        out.write_csv(header, blocks, output)
    elif hidden := out.write_table(header, blocks, output):
        more = f" and {len(hidden) - NAMED_COLUMNS} more" if len(hidden) > NAMED_COLUMNS else ""
        click.echo(f"A wider terminal also shows: {', '.join(hidden[:NAMED_COLUMNS])}{more}", err=True)


def _json_texts(table: "PreviewTable", *, typed: bool) -> Iterator[list[str]]:
    from datalake_assets.cli.preview_output import json_object, json_text, unique

    if not typed and not table.is_flat:
        yield from table.texts()
        return
    header, blocks = table.flat() if table.is_flat else table.nested(is_complete=False)
    keys = [json_text(name) for name in unique(header)]
    if typed:
        from datalake_assets.discovery.columns.typed import typed_json

        for typed_rows in typed_json(table.first, header, blocks):
            yield [json_object(keys, values) for values in typed_rows]
        return
    for rows in blocks:
        yield [json_object(keys, list(map(json_text, row))) for row in rows]


def describe(classification: "Classification", source: "SourceFormat", found: "FoundObject") -> str:
    """One line: format, dialect, encoding, compression, how certain, and why."""
    from datalake_assets.formats.bytes import compression_by_name

    said = [source.format if classification.classifier == source.format else _named(classification, source)]
    if source.format == "csv":
        said += _dialect(source)
    said += [f"layout {source.layout}"] if source.format == "json" and source.layout != "auto" else []
    said += [f"records at {source.records}"] if source.records else []
    said += [f"row tag {source.row_tag}"] if source.row_tag else []
    said += [f"pattern {source.pattern}"] if source.pattern else []
    said += [source.encoding] if source.format not in ("parquet", "avro", "orc") else []
    packed = source.compression if source.compression != "auto" else compression_by_name(found.uri)
    said.append(packed if packed != "none" else "not compressed")
    steps = ", ".join(f"{name} {certainty:.2f}" for name, certainty in classification.details.items())
    certainty = f"certainty {classification.certainty:.2f}" + (f" ({steps})" if steps else "")
    return f"{found.name}: {', '.join(said)}; {certainty}: {classification.reason}"


def _named(classification: "Classification", source: "SourceFormat") -> str:
    return f"{source.format} ({classification.classifier})"


def _dialect(source: "SourceFormat") -> Iterator[str]:
    yield f"delimiter {source.delimiter!r}"
    yield f"quote {source.quote!r}" if source.quote else "no quotes"
    if source.escape not in (None, source.quote):
        yield f"escape {source.escape!r}"
    yield {0: "no header", 1: "header of 1 row"}.get(source.header, f"header of {source.header} rows")
    if source.skip_rows:
        yield f"after {source.skip_rows} line{'s' if source.skip_rows > 1 else ''}"
    if source.skip_footer:
        yield f"footer of {source.skip_footer} line{'s' if source.skip_footer > 1 else ''}"


def _say_if_it_failed(name: str, classification: "Classification") -> None:
    if classification.classifier == name:
        return
    reason = next((why for tried, _, why in classification.tried if tried == name), "it does not match")
    click.echo(f"The classifier {name} was not used: {reason}", err=True)


def _say_what_is_missing(table: "PreviewTable") -> None:
    from datalake_assets.cli.output import count

    for opened in table.read:
        uri, done = opened.found.uri, opened.normalised
        if opened.broken:
            told = _first(opened.broken, opened.first_broken)
            click.echo(f"{uri}: left out {count(opened.broken, 'broken record')}: {told}", err=True)
        if done is None:
            continue
        if done.broken:
            told = _first(done.broken, done.first_broken)
            click.echo(f"{uri}: {count(done.broken, 'broken record')}, read as well as can be: {told}", err=True)
        said = [
            f"{count(number, 'row')} {what}"
            for number, what in (
                (done.arranged, "with a delimiter too many, too few or of another kind put right"),
                (done.padded, "filled up at the end"),
                (done.long, "with surplus values at the end"),
                (done.footer, "of a footer or comments left out"),
            )
            if number
        ]
        if said:
            click.echo(f"{uri}: {', '.join(said)}", err=True)
    for error in table.failures:
        click.echo(f"Error: {error}", err=True)


def _first(number: int, told: "Sequence[tuple[int, str]]") -> str:
    shown = "; ".join(f"line {line} {reason}" for line, reason in told)
    return f"{shown}; …" if number > len(told) else shown
