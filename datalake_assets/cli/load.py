"""`datalake load`: load into the warehouse what it lacks, now."""

import uuid

import click

from datalake_assets.cli.output import count, json_option, show_errors, show_json
from datalake_assets.errors import PlatformError


@click.command()
@click.argument("pipeline")
@click.argument("partitions", nargs=-1, metavar="[PARTITION]...")
@json_option
def load(pipeline: str, partitions: tuple[str, ...], as_json: bool) -> None:
    """Load the published versions of a PIPELINE that the warehouse does not hold, all or those of some partitions.

    Dagster shows each load as a materialization. Exit status 1 if one failed; the others are loaded all the same.
    """
    from datalake_assets.cli.instance import dagster_instance
    from datalake_assets.components.pipelines import find_pipeline
    from datalake_assets.components.upkeep.following import follow
    from datalake_assets.errors import ConfigurationError
    from datalake_assets.ingest.outcomes import Loaded

    declared = find_pipeline(pipeline)
    wanted = [declared.partition(each) for each in partitions] or None
    target = declared.spec.warehouse
    if target is None:
        raise ConfigurationError(f"{declared.name} has no warehouse table", expected="`warehouse:` in its defs.yaml")
    loaded: list[Loaded] = []
    failed: dict[str, str] = {}
    with dagster_instance() as instance:
        run_id = f"load-{uuid.uuid4().hex}"
        for outcome in follow(declared, wanted, run_id=run_id, report=instance.report_runless_asset_event):
            if isinstance(outcome, Loaded):
                loaded.append(outcome)
                if not as_json:
                    click.echo(f"{declared.label(outcome.partition)}: {count(outcome.rows, 'row')}")
            elif isinstance(outcome.error, PlatformError):
                failed[declared.label(outcome.partition)] = str(outcome.error)
            else:
                raise outcome.error
    if as_json:
        show_json(
            {
                "table": target.table,
                "loaded": [{"partition": e.partition, "version": e.version, "rows": e.rows} for e in loaded],
                "failed": failed,
            }
        )
    else:
        show_errors(failed)
        if loaded:
            rows = sum(each.rows for each in loaded)
            click.echo(f"{count(len(loaded), 'partition')}, {count(rows, 'row')} loaded into {target.table}.")
        elif not failed:
            click.echo(f"{target.table} holds every published version.")
    if failed:
        raise click.exceptions.Exit(1)
