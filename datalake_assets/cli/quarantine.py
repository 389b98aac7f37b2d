"""`datalake quarantine`: rows that were set aside: where they are, why, and having them back."""

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from datalake_assets.cli.output import count, json_option, moment, number, prose, show_errors, show_json, show_table
from datalake_assets.errors import PlatformError

if TYPE_CHECKING:
    from datalake_assets.components.pipelines import DeclaredPipeline
    from datalake_assets.ingest.replay import Quarantined, Replayed

SHOWN_ROWS = 20
SHOWN_REASONS = 3


@click.group()
def quarantine() -> None:
    """Rows that were set aside: list them, show them with their reasons, and replay them once the mapping is mended."""


@quarantine.command("list")
@click.argument("pipeline", required=False)
@json_option
def list_command(pipeline: str | None, as_json: bool) -> None:
    """Show which pipelines have rows set aside, or which partitions of a PIPELINE: how many, why, since when.

    Exit status 1 if a pipeline could not be looked at.
    """
    from datalake_assets.components.pipelines import find_pipelines
    from datalake_assets.ingest.replay import quarantined

    found: list[tuple[DeclaredPipeline, list[Quarantined]]] = []
    failed: dict[str, str] = {}
    for declared in find_pipelines([pipeline] if pipeline else []):
        try:
            partitions = quarantined(declared.pipeline)
        except PlatformError as error:
            failed[declared.name] = str(error)
            continue
        if partitions:
            found.append((declared, partitions))
    if as_json:
        listed: list[Any] = [{"pipeline": each.name, "partitions": partitions} for each, partitions in found]
        show_json(listed + [{"pipeline": name, "error": error} for name, error in failed.items()])
    elif found:
        (_list_partitions if pipeline else _list_pipelines)(found)
    elif not failed:
        click.echo(f"No row{f' of {pipeline}' if pipeline else ''} is set aside.")
    if not as_json:
        show_errors(failed)
    if failed:
        raise click.exceptions.Exit(1)


@quarantine.command()
@click.argument("pipeline")
@click.argument("partition", required=False)
@click.option("--reason", metavar="TEXT", help="Only rows whose reason has this text, in either case.")
@click.option("--rows", type=click.IntRange(1), default=SHOWN_ROWS, show_default=True, help="At most so many.")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
def show(pipeline: str, partition: str | None, reason: str | None, rows: int, form: str) -> None:
    """Show rows set aside of a PIPELINE, or of one PARTITION: reason, column, the row as it was, file and line."""
    from typing import cast

    from datalake_assets.cli.query import without_pandas
    from datalake_assets.cli.result_output import Format, write
    from datalake_assets.components.pipelines import find_pipeline

    declared = find_pipeline(pipeline)
    key = declared.partition(partition) if partition is not None else None
    with without_pandas():
        import pyarrow as pa

        pa.scalar(True)
    from datalake_assets.catalog.glue import GlueTable
    from datalake_assets.explore.query import query

    if not GlueTable(_session(declared), declared.pipeline.quarantine).exists():
        click.echo(f"No row of {declared.name} was ever set aside.", err=True)
        return
    sql = _select(declared, key, reason, rows)
    with query(sql, account=declared.location) as result:
        written = write(result, cast(Format, form), None, table_rows=rows)
    if not written:
        click.echo(f"No such row of {declared.label(key or '')} is set aside.", err=True)


@quarantine.command()
@click.argument("pipeline")
@click.argument("partitions", nargs=-1, metavar="[PARTITION]...")
@click.option("--all", "is_all", is_flag=True, help="Every partition that has rows set aside.")
@click.option("--dry-run", is_flag=True, help="Map the files and say what would come back; publish nothing.")
@json_option
def replay(pipeline: str, partitions: tuple[str, ...], is_all: bool, dry_run: bool, as_json: bool) -> None:
    """Recompute the PARTITIONs of a PIPELINE that have rows set aside, with the mapping as it is now.

    All of their files are read again, as in a run: the partition is checked, published as a new version, loaded into
    the warehouse, and Dagster shows it. Shows how many rows came back. Exit status 1 if a partition failed.
    """
    from datalake_assets.components.pipelines import find_pipeline
    from datalake_assets.ingest.replay import quarantined, rehearse

    declared = find_pipeline(pipeline)
    if declared.pipeline.is_partitioned and bool(partitions) == is_all:
        raise click.UsageError("name the partitions, or all of them with --all")
    wanted = [declared.partition(each) for each in partitions] if partitions else None
    found = quarantined(declared.pipeline, wanted)
    if wanted is None:
        found = _without_restored(declared, found)
    for missing in sorted(set(wanted or ()) - {each.partition for each in found}):
        click.echo(f"{declared.label(missing)}: no row is set aside", err=True)
    done: list[Replayed] = []
    failed: dict[str, str] = {}
    if dry_run:
        for told in rehearse(declared.pipeline, found):
            _note(declared, told, done, failed, as_json, would=True)
    elif found:
        _replay(declared, found, done, failed, as_json)
    if as_json:
        show_json({"pipeline": declared.name, "dry_run": dry_run, "replayed": done, "failed": failed})
    else:
        show_errors(failed)
        _sum_up(declared, done, would=dry_run)
    if failed:
        raise click.exceptions.Exit(1)


def _replay(
    declared: "DeclaredPipeline",
    found: "Sequence[Quarantined]",
    done: "list[Replayed]",
    failed: dict[str, str],
    as_json: bool,
) -> None:
    from datalake_assets.cli.instance import current_user, dagster_instance
    from datalake_assets.components.upkeep.replaying import replay_quarantine
    from datalake_assets.ingest.outcomes import Loaded
    from datalake_assets.ingest.replay import Replayed

    with dagster_instance() as instance:  # before anything changes: without it nobody would see what happened
        for outcome in replay_quarantine(
            declared,
            found,
            requested_by=current_user(),
            run_id=f"replay-{uuid.uuid4().hex}",
            report=instance.report_runless_asset_event,
        ):
            if isinstance(outcome, Replayed):
                _note(declared, outcome, done, failed, as_json, would=False)
            elif isinstance(outcome, Loaded):
                if not as_json:
                    rows = count(outcome.rows, "row")
                    click.echo(f"{declared.label(outcome.partition)}: {rows} in the warehouse")
            else:
                _fail(declared, outcome.partition, outcome.error, failed)


def _note(
    declared: "DeclaredPipeline",
    told: "Replayed",
    done: "list[Replayed]",
    failed: dict[str, str],
    as_json: bool,
    *,
    would: bool,
) -> None:
    label = declared.label(told.partition)
    if told.error is not None:
        _fail(declared, told.partition, told.error, failed)
        return
    done.append(told)
    if as_json:
        return
    verbs = ("would come back", "would remain") if would else ("came back", "remain")
    click.echo(f"{label}: {told.came_back:,} of {told.before:,} rows {verbs[0]}, {told.after:,} {verbs[1]}")
    for reason, rows in told.reasons[:SHOWN_REASONS]:
        click.echo(f"  {rows:,} × {reason}")
    for refusal in told.refusals:
        click.echo(f"  and the partition would not be published: {refusal}")


def _fail(declared: "DeclaredPipeline", partition: str, error: Exception, failed: dict[str, str]) -> None:
    if not isinstance(error, PlatformError):
        raise error
    failed[declared.label(partition)] = str(error)


def _sum_up(declared: "DeclaredPipeline", done: "Sequence[Replayed]", *, would: bool) -> None:
    if not done:
        return
    back, left = sum(each.came_back for each in done), sum(each.after or 0 for each in done)
    verbs = ("would come back", "would remain") if would else ("came back", "remain")
    click.echo(f"{count(len(done), 'partition')} of {declared.name}: {back:,} rows {verbs[0]}, {left:,} {verbs[1]}.")


def _without_restored(declared: "DeclaredPipeline", found: "Sequence[Quarantined]") -> "list[Quarantined]":
    """Without partitions that somebody rolled back: a replay of all must not undo that unasked."""
    for each in found:
        if each.restored_from:
            click.echo(
                f"{declared.label(each.partition)}: left out, it was rolled back; name it to compute it anew", err=True
            )
    return [each for each in found if not each.restored_from]


def _select(declared: "DeclaredPipeline", partition: str | None, reason: str | None, rows: int) -> str:
    """The query for rows set aside; only literals come from outside, and they are quoted."""
    from datalake_assets.mapping.sql import literal
    from datalake_assets.names import PARTITION_COLUMN, quoted

    is_partitioned = declared.pipeline.is_partitioned
    first = [f"{quoted(PARTITION_COLUMN)} AS partition"] if is_partitioned else []
    columns = [
        *first,
        "_reason AS reason",
        '_column AS "column"',
        "_raw AS raw",
        "_source_file AS file",
        '_source_row AS "row"',
    ]
    conditions = []
    if partition:
        conditions.append(f"{quoted(PARTITION_COLUMN)} = {literal(partition)}")
    if reason is not None:
        conditions.append(f"contains(lower(_reason), lower({literal(reason)}))")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    order = ("1 DESC, " if is_partitioned else "") + '"file", "row"'
    table = f"{quoted(declared.pipeline.account.glue_database)}.{quoted(declared.pipeline.quarantine)}"
    return f"SELECT {', '.join(columns)} FROM {table}{where} ORDER BY {order} LIMIT {rows}"


def _session(declared: "DeclaredPipeline") -> Any:
    from datalake_assets.accounts.sessions import session

    return session(declared.location)


def _list_pipelines(found: "Sequence[tuple[DeclaredPipeline, list[Quarantined]]]") -> None:
    show_table(
        ["pipeline", number("partitions"), number("rows"), "since, UTC", "partition", prose("top reasons")],
        [
            [
                declared.name,
                f"{len(partitions):,}",
                f"{sum(each.rows for each in partitions):,}",
                moment(min(each.since for each in partitions)),
                _range([each.partition for each in partitions]),
                _reasons(partitions),
            ]
            for declared, partitions in found
        ],
    )


def _list_partitions(found: "Sequence[tuple[DeclaredPipeline, list[Quarantined]]]") -> None:
    show_table(
        ["partition", number("rows"), number("published"), "since, UTC", "state", prose("top reasons")],
        [
            [
                each.partition or declared.name,
                f"{each.rows:,}",
                f"{each.rows_published:,}",
                moment(each.since),
                "refused" if each.is_refused else "rolled back" if each.restored_from else "published",
                _reasons([each]),
            ]
            for declared, partitions in found
            for each in partitions
        ],
    )


def _range(partitions: Sequence[str]) -> str:
    first, last = min(partitions), max(partitions)
    return first if first == last else f"{first} … {last}"


def _reasons(partitions: "Sequence[Quarantined]") -> str:
    counts: dict[str, int] = {}
    for each in partitions:
        for reason, rows in each.reasons:
            counts[reason] = counts.get(reason, 0) + rows
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    more = len(top) - SHOWN_REASONS
    shown = "; ".join(f"{rows:,} × {reason}" for reason, rows in top[:SHOWN_REASONS])
    return f"{shown}; and {more} more" if more > 0 else shown
