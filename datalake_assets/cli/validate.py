"""`datalake validate`: the account registry and every pipeline's YAML, before anything loads."""

from pathlib import Path

import click


@click.command()
@click.argument("path", required=False, type=click.Path(exists=True, path_type=Path))
def validate(path: Path | None) -> None:
    """Check the YAML of every pipeline (or of one file or folder) and report all mistakes at once."""
    from datalake_assets.components.declarations import refuse_all
    from datalake_assets.components.validation.validate import validate as find_mistakes
    from datalake_assets.errors import ConfigurationError

    found = find_mistakes(path)
    if found.registry_complaint:
        click.echo(found.registry_complaint, err=True)
    refuse_all(found.mistakes)
    if found.registry_complaint:
        raise ConfigurationError("the pipelines are valid by themselves, the account registry is not")
    click.echo("1 pipeline is valid." if found.pipelines == 1 else f"{found.pipelines} pipelines are valid.")
