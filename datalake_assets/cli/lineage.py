"""`datalake lineage`: what an asset is made of and what depends on it."""

from typing import TYPE_CHECKING, Any

import click

from datalake_assets.cli.output import json_option, show_json, show_table

if TYPE_CHECKING:
    from datalake_assets.components.lineage.asset import Lineage


@click.command()
@click.argument("asset")
@click.option("--upstream", is_flag=True, help="Only what it is made of.")
@click.option("--downstream", is_flag=True, help="Only what depends on it.")
@click.option("--columns", is_flag=True, help="Also which columns become which.")
@click.option("--column", metavar="NAME", help="Follow one column.")
@click.option("--mermaid", is_flag=True, help="A diagram for Markdown pages.")
@json_option
def lineage(
    asset: str, upstream: bool, downstream: bool, columns: bool, column: str | None, mermaid: bool, as_json: bool
) -> None:
    """Show what an ASSET is made of and what depends on it, across accounts, as it is declared.

    ASSET is location/layer/table, a pipeline (the last table that it makes), a table as SQL names it
    (marts.daily_delays), or the name of a table alone if only one is called so.
    """
    from datalake_assets.cli import lineage_output as output
    from datalake_assets.components.lineage.asset import lineage as find

    if mermaid and as_json:
        raise click.UsageError("--mermaid and --json are two forms of the same; choose one")
    both = upstream == downstream
    found = find(asset, upstream=upstream or both, downstream=downstream or both, columns=columns, column=column)
    if as_json:
        show_json(_as_json(found))
        return
    if mermaid:
        click.echo("\n".join(output.mermaid(found)))
        return
    for line in output.column_trees(found) if column else output.trees(found):
        click.echo(line)
    if columns and not column:
        for headings, rows in output.column_tables(found):
            click.echo()
            show_table(headings, rows)
    for name, why in found.unknown_columns.items():
        click.echo(f"Columns of {name} are not known: {why}", err=True)


def _as_json(found: "Lineage") -> dict[str, Any]:
    return {
        "asset": found.asset,
        "column": found.column,
        "assets": list(found.assets.values()),
        "edges": found.edges(),
        "columns": {
            asset: {name: [[source.asset, source.name] for source in sources] for name, sources in columns.items()}
            for asset, columns in found.columns.items()
        },
        "unknown_columns": found.unknown_columns,
    }
