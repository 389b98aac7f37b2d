"""`datalake arrivals`: what has arrived, what waits and why, and what could not become an arrival."""

import datetime as dt
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from datalake_assets.cli.instance import HOME_VARIABLE
from datalake_assets.cli.output import (
    Column,
    count,
    duration,
    extra,
    json_option,
    moment,
    number,
    prose,
    show_json,
    show_table,
    size,
)

if TYPE_CHECKING:
    from datalake_assets.arrivals.report import ArrivalReport
    from datalake_assets.arrivals.requests import Waiting
    from datalake_assets.components.arriving import Explained, RunStates

MAX_WAITING = 10  # shown of a table, unless its pipeline is named
MAX_OBJECTS = 20
OVERVIEW = "tables"
NEVER = "–"


class _OverviewByDefault(click.Group):
    """`datalake arrivals [PIPELINE]...` is the overview; a pipeline's name has a slash and no subcommand's has."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = [OVERVIEW, *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[--json] [PIPELINE]... | COMMAND [ARGS]...")


@click.group(cls=_OverviewByDefault)
def arrivals() -> None:
    """Show for every PIPELINE (or for some) what has arrived and what is not processed yet, and why."""


@arrivals.command(OVERVIEW, hidden=True)
@click.argument("pipelines", nargs=-1)
@json_option
def tables(pipelines: tuple[str, ...], as_json: bool) -> None:
    """The overview."""
    from datalake_assets.components.arriving import report_arrivals
    from datalake_assets.components.pipelines import find_pipelines

    declared = find_pipelines(pipelines, raw=True)
    with _run_states() as run_states:
        reports = report_arrivals(declared, run_states)
    if as_json:
        show_json(reports)
        return
    _show_tables(reports)
    for report in reports:
        click.echo(_footer(report))
    _show_waiting(reports, None if pipelines else MAX_WAITING)


@arrivals.command("dead-letters")
@click.option("--all", "with_closed", is_flag=True, help="Also those that are closed.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="The newest ones.")
@json_option
def dead_letters(with_closed: bool, limit: int, as_json: bool) -> None:
    """List keys that fit no pipeline and messages that nobody understands, newest first, each with its reason.

    A key's letter is closed when a pattern is mended so that it fits, or when a sweep finds the object gone.
    """
    from datalake_assets.components.arriving import dead_letters as read

    found = read(with_closed=with_closed, limit=limit)
    if as_json:
        show_json(found)
        return
    if not found:
        click.echo("There is no dead letter." if with_closed else "There is no open dead letter.")
        return
    rows = [
        [
            each.location,
            moment(each.last_seen_at),
            f"{each.seen:,}",
            *(["open" if each.resolved_at is None else moment(each.resolved_at)] if with_closed else []),
            each.key if each.key is not None else f"message {each.body or ''}"[:100],
            each.reason,
        ]
        for each in found
    ]
    columns = [extra("location"), Column("last seen, UTC"), number("seen", is_extra=True)]
    columns += [extra("closed, UTC")] if with_closed else []
    show_table([*columns, prose("key or message"), prose("reason")], rows)


@arrivals.command()
@click.argument("pipeline")
@click.argument("partition", required=False)
@json_option
def explain(pipeline: str, partition: str | None, as_json: bool) -> None:
    """Tell all that the ledger knows of one PARTITION, and whether it runs now, by the sensor's own rules."""
    from datalake_assets.components import arriving
    from datalake_assets.components.pipelines import find_pipeline

    declared = find_pipeline(pipeline, raw=True)
    key = declared.partition(partition)
    with _run_states() as run_states:
        found = arriving.explain(declared, key, run_states)
    if as_json:
        show_json(found)
    else:
        _show_explained(declared.label(key), found)


@contextmanager
def _run_states() -> "Iterator[RunStates | None]":
    """What became of requested runs, if the environment leads to a Dagster; the ledger alone tells the rest."""
    if not os.environ.get(HOME_VARIABLE):
        yield None
        return
    from datalake_assets.arrivals.sensor import run_states
    from datalake_assets.cli.instance import dagster_instance

    with dagster_instance() as instance:

        def ask(run_keys: Sequence[str]) -> Mapping[str, Any]:
            return run_states(instance, run_keys)

        yield ask


def _show_tables(reports: "Sequence[ArrivalReport]") -> None:
    rows = [
        [
            each.source_id,
            f"{each.objects:,}",
            size(each.bytes),
            f"{each.partitions:,}",
            f"{each.dirty_partitions:,}",
            "–" if each.lag_seconds is None else duration(each.lag_seconds),
            moment(each.last_arrival_at),
            f"{each.dead_letters:,}",
        ]
        for report in reports
        for each in report.tables
    ]
    show_table(
        [
            "pipeline",
            number("objects"),
            number("size", is_extra=True),
            number("partitions"),
            number("unprocessed"),
            number("lag"),
            extra("last arrival, UTC"),
            number("dead letters"),
        ],
        rows,
    )


def _footer(report: "ArrivalReport") -> str:
    """What is true of a location as a whole."""
    told = []
    if queue := report.queue:
        told.append(f"queue {queue.visible:,} waiting, {queue.in_flight:,} in flight, {queue.delayed:,} delayed")
    age = report.sweep_age_seconds
    told.append("never swept as a whole" if age is None else f"swept {duration(age)} ago")
    letters = count(report.dead_letters, "open dead letter")
    told.append(f"{letters} (datalake arrivals dead-letters)" if report.dead_letters else letters)
    return f"{report.location}: {'; '.join(told)}"


def _show_waiting(reports: "Sequence[ArrivalReport]", limit: int | None) -> None:
    """One line for all partitions of a table that wait for the same; those that waited longest first."""
    tables = [table for report in reports for table in report.tables if table.waiting]
    if not tables:
        return
    rows: list[tuple[str, str, str]] = []
    left_out: dict[str, int] = {}
    for table in tables:
        groups: dict[str, list[Waiting]] = {}
        for each in table.waiting:
            groups.setdefault(each.reason, []).append(each)
        shown = list(groups.items())[:limit]
        for reason, group in shown:
            first = min((each.until for each in group if each.until), default=None)
            rows.append(
                (f"{table.source_id} {_span([each.partition for each in group])}".rstrip(), reason, _clock(first))
            )
        if more := table.dirty_partitions - sum(len(group) for _, group in shown):
            left_out[table.source_id] = more
    click.echo()
    has_times = any(until != NEVER for _, _, until in rows)
    show_table(
        [prose("unprocessed"), prose("because"), *([extra("not before, UTC")] if has_times else [])],
        [row if has_times else row[:2] for row in rows],
    )
    for name, more in left_out.items():
        click.echo(f"{name}: {more:,} more")


def _span(partitions: list[str]) -> str:
    """`2013-01-01`, or `2013-01-01 and 6 more`."""
    first, *others = partitions
    return f"{first} and {len(others):,} more" if others else first


def _clock(until: dt.datetime | None) -> str:
    return f"{until:%Y-%m-%d %H:%M:%S}" if until else NEVER


def _show_explained(label: str, found: "Explained") -> None:
    click.echo(f"{label}: {found.decision}")
    state = found.state
    if state is None:
        return
    lines = [("objects", f"{count(state.objects, 'object')}, {size(state.bytes)}")]
    if state.markers:
        lines.append(("markers", f"{state.markers:,}"))
    lines.append(("changed", f"{moment(state.last_changed_at)} UTC"))
    if state.requested_at:
        which = "the last change" if state.requested_seq == state.changed_seq else "an earlier change"
        lines.append(("requested", f"{moment(state.requested_at)} UTC for {which}, attempt {state.attempts}"))
        lines.append(("run key", state.run_key or "–"))
    published = (
        f"{moment(state.published_at)} UTC, version {state.published_version}" if state.is_published else "never"
    )
    lines.append(("published", published))
    for word, text in lines:
        click.echo(f"  {word:9}  {text}")
    for each in found.objects[:MAX_OBJECTS]:
        marker = "  marker" if each.is_marker else ""
        click.echo(f"  {size(each.size):>9}  {moment(each.event_at)} UTC  {each.key}{marker}")
    if (more := state.objects + state.markers - MAX_OBJECTS) > 0:
        click.echo(f"  and {more:,} more")
