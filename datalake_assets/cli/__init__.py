"""The `datalake` command. Each subcommand is a module of this folder, imported when it is called."""

import importlib
from typing import Any

import click

from datalake_assets.errors import PlatformError

# name → (module, attribute, help shown without importing the module)
_COMMANDS = {
    "demo": ("datalake_assets.cli.demo", "demo", "Land real files and watch them become dbt models."),
    "dev": ("datalake_assets.cli.dev", "dev", "Run the whole platform with the Dagster UI until Ctrl-C."),
    "sandbox": (
        "datalake_assets.cli.sandbox",
        "sandbox",
        "AWS and Redshift on this machine: start, stop, status, reset.",
    ),
    "land": ("datalake_assets.cli.land", "land", "Land sample files in the sandbox."),
    "crawl": ("datalake_assets.cli.crawl", "crawl", "Find out what unknown files, tables and databases hold."),
    "preview": ("datalake_assets.cli.preview", "preview", "The rows of an unknown file, as they are or normalised."),
    "query": ("datalake_assets.cli.query", "query", "SQL over the lake's tables."),
    "quarantine": ("datalake_assets.cli.quarantine", "quarantine", "Rows that were set aside: list, show, replay."),
    "script": ("datalake_assets.cli.script", "script", "A pipeline's mapping as a program of its own."),
    "status": ("datalake_assets.cli.status", "status", "All accounts and pipelines: outcome, freshness, what waits."),
    "why": ("datalake_assets.cli.why", "why", "Why a partition ran, or what it waits for."),
    "lineage": ("datalake_assets.cli.lineage", "lineage", "What an asset is made of and what depends on it."),
    "tables": ("datalake_assets.cli.tables", "tables", "Lake and warehouse side by side."),
    "arrivals": ("datalake_assets.cli.arrivals", "arrivals", "What has arrived, what waits and why, dead letters."),
    "sweep": ("datalake_assets.cli.sweep", "sweep", "Find raw files that no message announced."),
    "load": ("datalake_assets.cli.load", "load", "Load into the warehouse what it lacks."),
    "versions": ("datalake_assets.cli.versions", "versions", "The versions of a table's partitions."),
    "rollback": ("datalake_assets.cli.rollback", "rollback", "Put an older version of a partition back."),
    "vacuum": ("datalake_assets.cli.vacuum", "vacuum", "Remove versions that nobody can refer to any more."),
    "rerun": ("datalake_assets.cli.rerun", "rerun", "Run partitions again, from the start or from what failed."),
    "new": ("datalake_assets.cli.new", "new", "A new account or pipeline: files that validate and run."),
    "delete": ("datalake_assets.cli.delete", "delete", "Take a pipeline away, after saying what depends on it."),
    "policy": ("datalake_assets.cli.policy", "policy", "What an account's role may do, as IAM policies."),
    "schema": ("datalake_assets.cli.schema", "schema", "The JSON schema of defs.yaml, for editors."),
    "validate": ("datalake_assets.cli.validate", "validate", "Check every pipeline's YAML; all mistakes at once."),
    "dbt-manifest": ("datalake_assets.cli.dbt_manifest", "dbt_manifest", "Prepare the dbt project's manifest."),
}


class _LazyGroup(click.Group):
    """Lists its commands without importing them, so that each starts as fast as it can by itself."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, _, help_text) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PlatformError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="datalake-assets")
def main() -> None:
    """The data platform: from the first S3 object to the last dbt model."""
