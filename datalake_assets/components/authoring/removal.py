"""Take a pipeline away: its folder in one step, and what is left for people to remove."""

import os
from collections.abc import Iterator
from pathlib import Path

from datalake_assets import names
from datalake_assets.accounts.registry import load_registry
from datalake_assets.components.authoring.dependents import Dependent, WrittenPipeline, dependents
from datalake_assets.components.authoring.tree import Tree, explained
from datalake_assets.errors import ConfigurationError, PlatformError


def remove(tree: Tree, pipeline: WrittenPipeline, *, known: list[Dependent]) -> None:
    """Remove the folder of a pipeline; all of it vanishes at once, or nothing. No data is touched.

    Args:
        known: what depends on it and shall not keep it.

    Raises:
        ConfigurationError: something else depends on it now, or the folder is gone.
        AccessDenied: the folder may not be moved.
    """
    with tree.locked(), tree.staging() as staging:
        if not pipeline.folder.is_dir():
            raise ConfigurationError("it is gone already", where=pipeline.name)
        if new := [each for each in dependents(tree, pipeline) if each not in known]:
            raise depended_on(pipeline, new)
        try:
            os.rename(pipeline.folder, staging / pipeline.folder.name)
        except OSError as error:
            raise explained(error, pipeline.folder) from error


def depended_on(pipeline: WrittenPipeline, found: list[Dependent]) -> ConfigurationError:
    """The refusal to remove what something depends on."""
    listed = "\n".join(f"  {each}" for each in found)
    return ConfigurationError(
        f"{pipeline.name} is needed:\n{listed}\nChange these first; --force deletes it all the same"
    )


def files_of(pipeline: WrittenPipeline) -> list[Path]:
    """What the folder holds, without what Python and pytest have left there."""
    found = sorted(path for path in pipeline.folder.rglob("*") if path.is_file())
    return [path for path in found if "__pycache__" not in path.parts]


def left_behind(tree: Tree, pipeline: WrittenPipeline) -> Iterator[str]:
    """Commands that remove the pipeline's data, which nothing else does; raw files stay the sender's."""
    try:
        account = load_registry(tree.registry).account(pipeline.location)
    except PlatformError:
        return
    tables = [each for table in pipeline.tables for each in (table, names.quarantine_table(table))]
    for table in tables:
        yield f"aws s3 rm --recursive s3://{account.lake_bucket}/{table}/"
        yield f"aws glue delete-table --database-name {account.glue_database} --name {table}"
    if pipeline.warehouse_table:
        schema, _, name = pipeline.warehouse_table.partition(".")
        yield f"DROP TABLE {schema}.{name}"
        yield f"DELETE FROM {schema}._load_ledger WHERE table_name = '{name}'"
    source = pipeline.attributes.get("source")
    patterns = source.get("s3", ()) if isinstance(source, dict) else ()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        start = str(pattern).partition("{")[0].partition("*")[0]
        yield f"aws s3 ls --recursive s3://{account.raw_bucket}/{start}  # its raw files"
