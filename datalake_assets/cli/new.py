"""`datalake new`: an account, or a pipeline of one: files that validate and run as they are."""

import click


@click.group()
def new() -> None:
    """Write the files of a new account or pipeline; nothing that exists is overwritten."""


@new.command()
@click.argument("name")
@click.option("--id", "id", metavar="ID", help="Its twelve digits. [default: made up, for the sandbox]")
@click.option("--region", "regions", metavar="REGION", multiple=True, help="Home first. [default: the platform's]")
def account(name: str, id: str | None, regions: tuple[str, ...]) -> None:
    """Add the account NAME: to the registry, to the workspace, and a folder for its pipelines."""
    from datalake_assets.components.authoring.account import MADE_UP, make_account
    from datalake_assets.components.authoring.tree import Tree, shown

    made = make_account(Tree.of_project(), name, id=id, regions=regions)
    for path in made.written:
        click.echo(f"wrote {shown(path)}", err=True)
    if id is None:
        click.echo(f"The id {made.id} is {MADE_UP}.", err=True)
    click.echo("A sandbox that runs gets its buckets when it is started again, with `datalake dev` as well.", err=True)
    click.echo(f"Next: datalake new pipeline {name}/NAME", err=True)
