"""`datalake sweep`: compare raw buckets with the arrival ledger now."""

import time
from typing import TYPE_CHECKING

import click

from datalake_assets.cli.output import count, json_option, number, show_errors, show_json, show_table
from datalake_assets.errors import PlatformError

if TYPE_CHECKING:
    from datalake_assets.arrivals.sweep import SweepResult


@click.command()
@click.argument("locations", nargs=-1, metavar="[LOCATION]...")
@click.option("--partition", "partitions", multiple=True, help="Only this partition; may be repeated.")
@click.option(
    "--recent",
    "recent_days",
    type=click.IntRange(0),
    metavar="DAYS",
    help="Only the last DAYS days, what changed in that time, and tables without partitions.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    default=20.0,
    show_default=True,
    help="At most N list requests a second; each shows a thousand objects.",
)
@json_option
def sweep(
    locations: tuple[str, ...], partitions: tuple[str, ...], recent_days: int | None, rate: float, as_json: bool
) -> None:
    """Find files that no message announced, in every LOCATION or in some; their runs then start by themselves.

    Exit status 1 if a location could not be swept; the others are swept all the same.
    """
    from datalake_assets.components.pipelines import find_locations, require_partition
    from datalake_assets.components.upkeep.sweeping import sweep_location

    if partitions and recent_days is not None:
        raise click.UsageError("--partition and --recent exclude each other")
    wanted = find_locations(locations, raw=True)
    require_partition(wanted, partitions)
    done: list[tuple[str, SweepResult, float]] = []
    failed: dict[str, str] = {}
    for location in wanted:
        begin = time.monotonic()
        try:
            result = sweep_location(
                location, partitions=partitions or None, recent_days=recent_days, requests_per_second=rate
            )
            done.append((location, result, time.monotonic() - begin))
        except PlatformError as error:
            failed[location] = str(error)
    if as_json:
        swept = [{"location": location, **vars(result), "seconds": round(took, 3)} for location, result, took in done]
        show_json(swept + [{"location": location, "error": error} for location, error in failed.items()])
    else:
        _show(done)
        show_errors(failed)
    if failed:
        raise click.exceptions.Exit(1)


def _show(done: "list[tuple[str, SweepResult, float]]") -> None:
    if not done:
        return
    show_table(
        ["location", *(number(each) for each in ("listed", "added", "changed", "removed", "unexpected"))],
        [
            [location, *(f"{n:,}" for n in (r.listed, r.added, r.changed, r.removed, r.unexpected))]
            for location, r, _ in done
        ],
    )
    if unexpected := sum(result.unexpected for _, result, _ in done):
        click.echo(f"{count(unexpected, 'key fits', 'keys fit')} no pipeline: datalake arrivals dead-letters")
