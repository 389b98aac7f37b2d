"""`datalake dbt-manifest`: parse the dbt project, so that its models can be loaded as assets without a warehouse."""

import click


@click.command()
def dbt_manifest() -> None:
    """Prepare dbt_project/target/manifest.json when it is missing or older than the project."""
    from datalake_assets.components.dbt.manifest import ensure_manifest
    from datalake_assets.project import DBT_PROJECT

    ensure_manifest(DBT_PROJECT)
