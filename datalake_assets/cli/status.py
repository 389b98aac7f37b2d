"""`datalake status`: where all pipelines of all accounts stand."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from datalake_assets.cli.output import count, duration, extra, json_option, moment, prose, show_json, show_table

if TYPE_CHECKING:
    from datalake_assets.components.overview.status import PipelineStatus

NONE = "–"


@click.command()
@click.argument("names", nargs=-1, metavar="[ACCOUNT | PIPELINE]...")
@click.option("--trouble", is_flag=True, help="Only what failed, is late or waits.")
@json_option
def status(names: tuple[str, ...], trouble: bool, as_json: bool) -> None:
    """Show for every pipeline how its last run ended, how fresh its data is and what it waits for.

    ACCOUNT is a location or a twelve-digit id. A pipeline is late when a partition is missing that should be there by
    its own times, or by those of the pipelines that it waits for.
    """
    from datalake_assets.cli.instance import dagster_instance
    from datalake_assets.components.overview.status import status as look
    from datalake_assets.triggers import clock

    with dagster_instance() as instance:
        now = clock.now()
        everything = look(*names, instance=instance, now=now)
    found = [each for each in everything if not trouble or each.has_failed or each.is_late or each.is_waiting]
    if as_json:
        show_json(found)
        return
    if found:
        show(found, now)
    elif trouble:
        click.echo("Nothing failed, is late or waits.")
    else:
        click.echo("No pipeline is declared.")
    if everything:
        click.echo(summary(everything))


def show(found: "Sequence[PipelineStatus]", now: float) -> None:
    """A line for each pipeline, and below them one for each that waits."""
    show_table(
        ["pipeline", extra("owner"), "last run", extra("of"), "fresh", extra("ended, UTC")],
        [
            [
                each.pipeline,
                each.owner,
                each.outcome or "never",
                each.partition or NONE,
                _fresh(each, now),
                moment(each.at),
            ]
            for each in found
        ],
    )
    rows = [
        [_label(each), "; ".join(each.waits_for), _when(each.waiting_since, now)] for each in found if each.waits_for
    ]
    if rows:
        click.echo()
        show_table(["waiting", prose("for"), extra("since, UTC")], rows)
    click.echo()


def _fresh(each: "PipelineStatus", now: float) -> str:
    if each.late_since is not None:
        more = f" ({each.missing})" if each.missing > 1 else ""
        return f"late by {duration(now - each.late_since.timestamp())}{more}"
    if each.next_at is not None:
        return f"next {_when(each.next_at, now)}"
    return "yes" if each.due is not None else NONE


def _when(at: dt.datetime | None, now: float) -> str:
    """`05:00` within a day, else with its date; UTC."""
    if at is None:
        return NONE
    return f"{at:%H:%M}" if abs(at.timestamp() - now) < 86_400 else moment(at)


def _label(each: "PipelineStatus") -> str:
    return f"{each.pipeline} {each.waiting or ''}".rstrip()


def summary(everything: "Sequence[PipelineStatus]") -> str:
    """`7 pipelines of 3 accounts: 1 failed, 1 late, 2 wait, 4 in order`."""
    in_order = sum(not (each.has_failed or each.is_late or each.is_waiting) for each in everything)
    told = [
        f"{number:,} {word}"
        for number, word in (
            (sum(each.has_failed for each in everything), "failed"),
            (sum(each.is_late for each in everything), "late"),
            (sum(each.is_waiting for each in everything), "waiting"),
            (in_order, "in order"),
        )
        if number
    ]
    accounts = len({each.location for each in everything})
    return f"{count(len(everything), 'pipeline')} of {count(accounts, 'account')}: {', '.join(told)}"
