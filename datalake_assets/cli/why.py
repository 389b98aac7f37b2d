"""`datalake why`: why a partition ran, or what it waits for."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from datalake_assets.cli.output import duration, json_option, moment, show_json

if TYPE_CHECKING:
    from datalake_assets.components.overview.runs import RunTold
    from datalake_assets.components.overview.why import Cause, Why


@click.command()
@click.argument("pipeline")
@click.argument("partition", required=False)
@json_option
def why(pipeline: str, partition: str | None, as_json: bool) -> None:
    """Explain why a PARTITION of a PIPELINE ran, or what it waits for, by the rules of the sensors themselves.

    Without PARTITION the newest one that is over. What it waits for is followed from pipeline to pipeline, down to the
    one that keeps the others waiting.
    """
    from datalake_assets.cli.instance import dagster_instance
    from datalake_assets.components.overview.why import why as explain

    with dagster_instance() as instance:
        found = explain(pipeline, partition, instance=instance)
    if as_json:
        show_json(found)
        return
    for line in explained(found):
        click.echo(line)


def explained(found: "Why") -> Iterator[str]:
    """An explanation in lines."""
    yield found.told
    yield f"  runs   {found.rule}"
    yield f"  owner  {found.owner}"
    yield f"  data   {f'made {moment(found.made_at)} UTC' if found.made_at else 'not there yet'}"
    if found.causes:
        yield "because"
        for cause in found.causes:
            yield from _cause(cause)
    if found.runs:
        yield "its runs, the newest first"
        for run in found.runs:
            yield f"  {_run(run)}"
            yield f"    {'started because ' if run.triggered and not run.why.startswith('to ') else ''}{run.why}"


def _cause(cause: "Cause") -> Iterator[str]:
    indent = "  " * (cause.depth + 1)
    yield f"{indent}{cause.told} ({cause.owner})"
    if cause.run is not None:
        yield f"{indent}  last run: {_run(cause.run)}"


def _run(run: "RunTold") -> str:
    """`2026-11-21 05:01 UTC  FAILED after 34 s  run 1a2b3c4d`."""
    took = ""
    if run.started_at and run.ended_at:
        took = f" after {duration((run.ended_at - run.started_at).total_seconds())}"
    return f"{moment(run.at)} UTC  {run.outcome}{took}  run {run.run_id.partition('-')[0]}"
