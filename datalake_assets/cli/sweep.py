"""`datalake sweep`: compare raw buckets with the arrival ledger now."""

import click


@click.command()
@click.argument("locations", nargs=-1)
@click.option("--partition", "partitions", multiple=True, help="Only this partition; may be repeated.")
def sweep(locations: tuple[str, ...], partitions: tuple[str, ...]) -> None:
    """Find files that no message announced, in all LOCATIONS or in some; their runs then start by themselves."""
    from datalake_assets.components.sweeping import sweep_location, swept_locations, told
    from datalake_assets.project import LOCATIONS_FOLDER

    for location in locations or swept_locations(LOCATIONS_FOLDER):
        click.echo(f"{location}: {told(sweep_location(location, LOCATIONS_FOLDER, partitions=partitions or None))}")
