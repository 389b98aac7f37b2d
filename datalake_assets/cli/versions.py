"""`datalake versions`: what a partition was before, and what it is now."""

from typing import TYPE_CHECKING

import click

from datalake_assets.cli.output import extra, json_option, moment, number, prose, show_json, show_table, size
from datalake_assets.cli.version_ids import short, shortened
from datalake_assets.errors import ConfigurationError

if TYPE_CHECKING:
    from datalake_assets.catalog.glue import GlueTable
    from datalake_assets.catalog.history import VersionInfo
    from datalake_assets.components.pipelines import DeclaredPipeline


@click.command()
@click.argument("pipeline")
@click.argument("partition", required=False)
@click.option("--table", metavar="CHILD", help="One of the pipeline's child tables, instead of its own.")
@json_option
def versions(pipeline: str, partition: str | None, table: str | None, as_json: bool) -> None:
    """Show the versions of a PARTITION, newest first, or how many each partition of a PIPELINE has.

    A version is published (readers see it), kept (can be restored), rejected (a blocking check failed), expiring
    (vacuum removes it next) or unfinished.
    """
    from datalake_assets.components.pipelines import find_pipeline

    declared = find_pipeline(pipeline)
    if partition is None and declared.pipeline.is_partitioned:
        _overview(declared, _table(declared, table), as_json)
        return
    found = versions_of(declared, declared.partition(partition), table)
    if as_json:
        show_json(found)
    elif found:
        show_versions(found)
    else:
        click.echo(f"{declared.label(partition or '')} has no version yet.")


def versions_of(declared: "DeclaredPipeline", partition: str, child: str | None = None) -> "list[VersionInfo]":
    """The versions of a partition, newest first; of one of the child tables if it is named."""
    from datalake_assets.catalog.history import list_versions

    return list_versions(_table(declared, child), partition)


def _table(declared: "DeclaredPipeline", child: str | None) -> "GlueTable":
    from datalake_assets.accounts.sessions import session
    from datalake_assets.catalog.glue import GlueTable

    children = [each.name for each in declared.pipeline.children]
    if child is not None and child not in children:
        expected = f"one of {', '.join(children)}" if children else "no --table: the pipeline has no child tables"
        raise ConfigurationError(f"{declared.name} has no child table {child!r}", expected=expected)
    return GlueTable(session(declared.location), child or declared.pipeline.name)


def show_versions(found: "list[VersionInfo]") -> None:
    """Print one line for each version."""
    ids = shortened([each.version_id for each in found])
    rows = [
        [
            ids[each.version_id],
            each.state,
            "–" if each.row_count is None else f"{each.row_count:,}",
            size(each.size),
            moment(each.created_at),
            (each.run_id or "–")[:8],
            _reason(each),
        ]
        for each in found
    ]
    show_table(
        ["version", "state", number("rows"), number("size", is_extra=True), "made, UTC", extra("run"), prose("reason")],
        rows,
    )


def _reason(version: "VersionInfo") -> str:
    if version.failed_checks:
        return f"failed: {', '.join(version.failed_checks)}"
    if version.restored_from:
        return f"restored from {short(version.restored_from)}: {version.reason or 'no reason given'}"
    return version.reason or ""


def _overview(declared: "DeclaredPipeline", table: "GlueTable", as_json: bool) -> None:
    from datalake_assets.catalog.history import partition_versions

    found = partition_versions(table)
    if as_json:
        show_json(found)
        return
    if not found:
        click.echo(f"{declared.name} has no version yet.")
        return
    show_table(
        ["partition", "published", number("rows"), number("versions"), number("rejected"), number("expiring")],
        [
            [
                each.partition,
                short(each.published_version),
                "–" if each.rows is None else f"{each.rows:,}",
                str(each.versions),
                str(each.rejected),
                str(each.expiring),
            ]
            for each in found
        ],
    )
