"""`datalake validate`: the account registry and every pipeline's YAML, before anything loads."""

from pathlib import Path

import click


@click.command()
@click.argument("path", required=False, type=click.Path(exists=True, path_type=Path))
def validate(path: Path | None) -> None:
    """Check the YAML of every pipeline (or of one file or folder) and report all mistakes at once."""
    from datalake_assets.accounts.registry import registry
    from datalake_assets.components.declarations import bind_expressions, read_declarations
    from datalake_assets.project import LOCATIONS_FOLDER

    registry()
    found = read_declarations(path or LOCATIONS_FOLDER)
    bind_expressions(found)
    click.echo(f"{len(found)} pipelines are valid.")
