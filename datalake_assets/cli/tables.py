"""`datalake tables`: what the lake shows and what the warehouse holds, side by side."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from datalake_assets.cli.output import extra, json_option, number, show_errors, show_json, show_table
from datalake_assets.cli.version_ids import short
from datalake_assets.errors import PlatformError

if TYPE_CHECKING:
    from datalake_assets.components.pipelines import DeclaredPipeline
    from datalake_assets.ingest.behind import ShownChild, Versions

NONE = "–"
SAME = "the same"


@click.command()
@click.argument("pipelines", nargs=-1, metavar="[PIPELINE]...")
@click.option("--behind", "only_behind", is_flag=True, help="Only what the warehouse lacks; exit status 1 if it does.")
@click.option("--partitions", "each_partition", is_flag=True, help="One line for each partition.")
@json_option
def tables(pipelines: tuple[str, ...], only_behind: bool, each_partition: bool, as_json: bool) -> None:
    """Show the partitions, rows and versions of every PIPELINE (or of some) in the lake and in the warehouse.

    Child tables have a line each behind their pipeline's, if neither --partitions nor --behind is given; the warehouse
    has none of them. Exit status 1 if a pipeline could not be looked at.
    """
    from datalake_assets.components.pipelines import find_pipelines
    from datalake_assets.ingest.behind import shown_children, side_by_side

    found: list[tuple[DeclaredPipeline, list[Versions]]] = []
    children: dict[str, list[ShownChild]] = {}
    failed: dict[str, str] = {}
    for declared in find_pipelines(pipelines):
        try:
            versions = side_by_side(declared.pipeline)
            if not (only_behind or each_partition) or as_json:
                children[declared.name] = shown_children(declared.pipeline)
        except PlatformError as error:
            failed[declared.name] = str(error)
            continue
        if not only_behind or _behind(declared, versions):
            kept = _behind(declared, versions) if only_behind and each_partition else versions
            found.append((declared, kept))
    if as_json:
        summaries = [
            {**_summary(declared, versions, each_partition), "children": children[declared.name]}
            for declared, versions in found
        ]
        show_json(summaries + [{"pipeline": name, "error": error} for name, error in failed.items()])
    elif found:
        if each_partition:
            _show_partitions(found)
        else:
            _show_pipelines(found, children)
    elif only_behind and not failed:
        click.echo("The warehouse holds every published version.")
    if not as_json:
        show_errors(failed)
    if failed or (only_behind and found):
        raise click.exceptions.Exit(1)


def _behind(declared: "DeclaredPipeline", versions: "Sequence[Versions]") -> "list[Versions]":
    """What the warehouse lacks; nothing for a pipeline that ends in the lake."""
    return [each for each in versions if each.is_behind] if declared.pipeline.warehouse else []


def _summary(declared: "DeclaredPipeline", versions: "Sequence[Versions]", each_partition: bool) -> dict[str, Any]:
    shown = [each for each in versions if each.lake_version]
    newest = shown[-1] if shown else None
    has_warehouse = declared.pipeline.warehouse is not None
    return {
        "pipeline": declared.name,
        "partitions": len(shown),
        "rows_lake": sum(each.rows_lake or 0 for each in shown),
        "rows_warehouse": sum(each.rows_warehouse or 0 for each in versions) if has_warehouse else None,
        "newest_partition": newest.partition if newest else None,
        "lake_version": newest.lake_version if newest else None,
        "warehouse_version": newest.warehouse_version if newest else None,
        "behind": len(_behind(declared, versions)) if has_warehouse else None,
        **({"versions": list(versions)} if each_partition else {}),
    }


def _show_pipelines(
    found: "Sequence[tuple[DeclaredPipeline, list[Versions]]]", children: "Mapping[str, Sequence[ShownChild]]"
) -> None:
    rows = []
    for declared, versions in found:
        told = _summary(declared, versions, False)
        rows.append(
            [
                declared.name,
                f"{told['partitions']:,}",
                f"{told['rows_lake']:,}",
                _number(told["rows_warehouse"]),
                told["newest_partition"] or NONE,
                short(told["lake_version"]),
                _held(told["lake_version"], told["warehouse_version"]),
                _number(told["behind"]),
            ]
        )
        for child in children.get(declared.name, ()):
            # The table's own name, behind the pipeline that `datalake versions --table` wants to know.
            name, newest = f"{declared.name} {child.table}", child.newest_partition or NONE
            counts = [f"{child.partitions:,}", f"{child.rows_lake:,}", NONE]
            rows.append([name, *counts, newest, short(child.lake_version), NONE, NONE])
    show_table(
        [
            "pipeline",
            number("partitions"),
            number("lake rows"),
            number("warehouse rows"),
            extra("newest"),
            extra("lake version"),
            extra("warehouse version"),
            number("behind"),
        ],
        rows,
    )


def _show_partitions(found: "Sequence[tuple[DeclaredPipeline, list[Versions]]]") -> None:
    rows = [
        [
            declared.label(each.partition),
            _number(each.rows_lake),
            _number(each.rows_warehouse),
            short(each.lake_version),
            _held(each.lake_version, each.warehouse_version),
        ]
        for declared, versions in found
        for each in versions
    ]
    show_table(["partition", number("lake rows"), number("warehouse rows"), "lake version", "warehouse version"], rows)


def _held(lake: str | None, warehouse: str | None) -> str:
    return SAME if lake and lake == warehouse else short(warehouse)


def _number(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"
