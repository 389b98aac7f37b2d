"""Write the folder of a pipeline from a table that a crawl discovered: a defs.yaml that validates and runs as it is.

Wherever the crawl was not certain, a comment says what it saw. Nothing is overwritten.
"""

import math
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datalake_assets import names
from datalake_assets.components.scaffold.columns import (
    LONGEST_TABLE,
    ChildTable,
    ColumnPlan,
    Entry,
    names_by_place,
    place_told,
    plan_columns,
)
from datalake_assets.components.scaffold.place import Place, place_of
from datalake_assets.components.yaml_text import LINE_CHARACTERS, comment, flow
from datalake_assets.discovery.report import DiscoveredColumn, DiscoveredTable
from datalake_assets.errors import ConfigurationError, PlatformError, Unsupported
from datalake_assets.formats.source_format import SourceFormat

if TYPE_CHECKING:
    from datalake_assets.accounts.registry import Account

DEFAULT_OWNER = "team:data"
FILE_NAME = "defs.yaml"
PARTITIONS_VARY = 5  # times the share of bad records that a single partition may have, compared with the whole


def scaffold(
    table: DiscoveredTable, folder: Path, *, owner: str = DEFAULT_OWNER, account: str | None = None
) -> list[Path]:
    """Write `<folder>/defs.yaml` for a discovered table.

    Args:
        table: what a crawl found below one prefix.
        folder: of the new pipeline, `locations/<account>/<pipeline>`; its name is that of the pipeline and its tables.
        owner: `team:NAME` or an e-mail address.
        account: whose raw bucket the files are in; by default the account that the parent folder is called after.

    Returns:
        The files that were written.

    Raises:
        ConfigurationError: the folder holds something already, or its name is no valid name for a table.
        Unsupported: the table is none of files, or has no columns.
    """
    name = _pipeline_name(folder)
    text = scaffold_text(table, name, owner=owner, account=_account(folder, account))
    path = folder / FILE_NAME
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError("it exists already", where=str(folder), todo="Name another folder or remove this one")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return [path]


def upload_hint(table: DiscoveredTable, folder: Path, *, account: str | None = None) -> str | None:
    """How the crawled files reach the place that the new pipeline reads, as a sentence; None if they are there."""
    known = _account(folder, account)
    if known and table.uri.startswith(f"s3://{known.raw_bucket}/"):
        return None
    bucket = known.raw_bucket if known else "<raw bucket of the account>"
    pattern = place_of(table, folder.name).pattern
    start = pattern.partition("/")[0]
    if "://" in table.uri:
        return f"Upload the files to s3://{bucket}/{pattern}"
    recursive = "--recursive " if table.uri.endswith("/") else ""
    return f"Upload the files: aws s3 cp {recursive}{shlex.quote(table.uri)} s3://{bucket}/{start}/"


def scaffold_text(
    table: DiscoveredTable, name: str, *, owner: str = DEFAULT_OWNER, account: "Account | None" = None
) -> str:
    """The defs.yaml of a pipeline `name`; raises as `scaffold`."""
    if table.source is None:
        raise Unsupported(
            f"the table {table.name} is one of a database ({table.kind}), and pipelines read files",
            todo="Export it to files first",
        )
    if not table.columns:
        raise Unsupported(f"the table {table.name} has no columns", where=table.uri)
    table, notes = _named_byplace_of(table)
    assert table.source is not None
    place = place_of(table, name)
    plan = plan_columns(table, name)
    lines = [
        *_beginning(table, account, place),
        "type: datalake_assets.components.LakePipeline",
        "attributes:",
        f"  name: {flow(name)}",
        f"  description: {flow(f'Found by a crawl of {place_told(table.uri)}.')}",
        f"  owner: {flow(owner)}",
        *(line for note in notes for line in comment(note, indent=2)),
        *_source(table.source, place.pattern),
        *place.partition_lines,
        "  trigger:",
        "    arrivals: {settle: 30s}",
        "  columns:",
        *(line for entry in plan.entries for line in _entry(entry, indent=4)),
        *_left_out(plan),
        *_children(plan.children, indent=2),
        *_offered_children(plan),
        *_bad_rows(table),
        *_suggestions(plan, name, is_partitioned=bool(place.partition_lines)),
    ]
    text = "\n".join(lines) + "\n"
    _require_valid(text, table)
    return text


def _named_byplace_of(table: DiscoveredTable) -> tuple[DiscoveredTable, tuple[str, ...]]:
    """A table whose header repeats names or leaves them empty, as one without a header; and what is to say about it."""
    source = table.source
    names_now = names_by_place(table) if source is not None and source.format == "csv" and source.header else None
    if names_now is None or source is None:
        return table, ()
    skipped = source.skip_rows + source.header
    read = source.model_copy(update={"header": 0, "names": names_now, "skip_rows": skipped})
    columns = tuple(replace(each, raw_path=name) for each, name in zip(table.columns, names_now, strict=True))
    note = "the header repeats names or leaves them empty: it is skipped, and columns are named by their place"
    return replace(table, source=read, columns=columns), (note,)


def _left_out(plan: ColumnPlan) -> Iterator[str]:
    if plan.left_out:
        told = ", ".join(repr(path) for path in plan.left_out)
        yield from comment(f"left out, because no mapping can name it; it stays in _rescued_data: {told}", indent=4)


def _pipeline_name(folder: Path) -> str:
    name = folder.resolve().name
    try:
        names.identifier(name, what="folder")
    except PlatformError as error:
        raise ConfigurationError(error.found, where=str(folder), expected=error.expected) from error
    if len(name) > LONGEST_TABLE:
        raise ConfigurationError(
            f"the folder's name has {len(name)} characters",
            where=str(folder),
            expected=f"at most {LONGEST_TABLE}, because its tables are called after it",
        )
    return name


def _account(folder: Path, account: str | None) -> "Account | None":
    from datalake_assets.accounts.registry import registry

    if account is not None:
        return registry().account(account)
    parent = folder.resolve().parent.name
    return next((each for each in registry() if each.name == parent), None)


def _beginning(table: DiscoveredTable, account: "Account | None", place: Place) -> Iterator[str]:
    assert table.source is not None
    sampled = f"{table.sampled_files:,} of {table.files:,} files, {table.sampled_rows:,} rows"
    yield from comment(
        f"Written by a crawl of {place_told(table.uri)}: {sampled} were read. Look at each comment, then it is yours.",
        indent=0,
    )
    found = table.classification
    if found is not None:
        steps = ", ".join(f"{step} {certainty:.2f}" for step, certainty in found.details.items())
        certainty = f"{found.certainty:.2f}" + (f"; {steps}" if steps else "")
        yield from comment(f"Format {table.source.format}, certainty {certainty}: {found.reason}", indent=0)
    for note in table.notes:
        yield from comment(note, indent=0)
    bucket = account.raw_bucket if account else None
    if bucket is None or not table.uri.startswith(f"s3://{bucket}/"):
        target = f"s3://{bucket}/" if bucket else "the account's raw bucket, as "
        yield from comment(f"The files are to be uploaded to {target}{place.pattern}", indent=0)


def _source(source: SourceFormat, pattern: str) -> Iterator[str]:
    words: dict[str, Any] = {"s3": pattern, "format": source.format}
    words |= source.model_dump(mode="json", exclude_defaults=True, exclude={"format"})
    line = f"  source: {flow(words)}"
    if len(line) <= LINE_CHARACTERS:
        yield line
        return
    yield "  source:"
    for key, value in words.items():
        yield f"    {key}: {flow(value)}"


def _entry(entry: Entry, *, indent: int) -> Iterator[str]:
    for each in entry.comments:
        yield from comment(f"{entry.to}: {each}", indent=indent)
    yield " " * indent + f"- {flow(entry.words)}"


def _children(children: Sequence[ChildTable], *, indent: int) -> Iterator[str]:
    if not children:
        return
    space = " " * indent
    yield f"{space}children:"
    for child in children:
        yield f"{space}  - table: {flow(child.table)}"
        yield f"{space}    from: {flow(child.from_)}"
        if child.key:
            said = f"{child.key[0]} is taken for a key, because it is never null and called like one"
            yield from comment(said, indent=indent + 4)
            yield f"{space}    key: {flow(child.key)}"
        yield f"{space}    columns:"
        for entry in child.entries:
            yield from _entry(entry, indent=indent + 6)
        yield from _children(child.children, indent=indent + 4)


def _offered_children(plan: ColumnPlan) -> Iterator[str]:
    arrays = [entry for entry in plan.entries if str(entry.words["type"]).startswith("array<struct")]
    if not arrays:
        return
    yield from comment(
        f"{', '.join(each.to for each in arrays)}: could be tables of their own, if a column of the record is its key:",
        indent=2,
    )
    first = arrays[0]
    yield from comment(
        "children: "
        + flow([{"table": f"…_{first.to}", "from": first.words.get("from", ""), "key": ["…"], "columns": "…"}]),
        indent=2,
    )


def _bad_rows(table: DiscoveredTable) -> Iterator[str]:
    """The usual limit, unless the sample says that single partitions would be above it."""
    misfits = sum(_misfits(column) for column in table.columns)
    bad, rows = table.broken_rows + misfits, table.sampled_rows + table.broken_rows
    limit = min(max(math.ceil(PARTITIONS_VARY * 100 * bad / rows), 1), 100) if rows else 1
    if limit > 1:
        said = f"{bad:,} of {rows:,} sampled records would be set aside; a single partition may have more of them"
        yield from comment(said, indent=2)
    yield f"  bad_rows: {{fail_above: {limit}%}}"


def _misfits(column: DiscoveredColumn) -> int:
    """How many sampled values put their record aside, those within nested ones too."""
    is_cast = column.type.kind != "varchar" and column.on_conflict in (None, "quarantine")
    own = sum(conflict.count for conflict in column.conflicts) if is_cast else 0
    return own + sum(_misfits(part) for part in column.parts)


def _suggestions(plan: ColumnPlan, name: str, *, is_partitioned: bool) -> Iterator[str]:
    if plan.never_null:
        yield from comment("No sampled row lacks these; what must stay so:", indent=2)
        yield f"  # checks: [{{not_null: {flow(list(plan.never_null))}}}]"
    if is_partitioned:
        yield f"  # warehouse: {{table: lake.{name}, mode: copy}}"
    elif plan.key:
        yield f"  # warehouse: {{table: lake.{name}, mode: merge, key: [{plan.key}]}}"


def _require_valid(text: str, table: DiscoveredTable) -> None:
    """See that what was written is what a pipeline may say."""
    import yaml
    from pydantic import ValidationError

    from datalake_assets.components.words.pipeline_spec import PipelineSpec

    try:
        PipelineSpec.model_validate(yaml.safe_load(text)["attributes"])
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5])
        raise Unsupported(
            f"the table {table.name} cannot be declared as a pipeline: {told}", where=table.uri
        ) from error
