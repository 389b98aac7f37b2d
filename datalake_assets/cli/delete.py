"""`datalake delete`: take a pipeline away, after saying what depends on it."""

import click


@click.group()
def delete() -> None:
    """Delete what `datalake new` makes. Data stays; how to remove it is said."""


@delete.command()
@click.argument("name", metavar="ACCOUNT/NAME")
@click.option("--force", is_flag=True, help="Although something depends on it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def pipeline(name: str, force: bool, yes: bool) -> None:
    """Delete the folder of a pipeline, unless other pipelines, dbt sources or grants name it.

    Its tables and files stay where they are. What was committed to git can be taken back from there.
    """
    from datalake_assets.components.authoring.dependents import dependents, find_written
    from datalake_assets.components.authoring.removal import depended_on, files_of, left_behind, remove
    from datalake_assets.components.authoring.tree import Tree, shown

    tree = Tree.of_project()
    found = find_written(tree, name)
    needed_by = dependents(tree, found)
    if needed_by and not force:
        raise depended_on(found, needed_by)
    for each in needed_by:
        click.echo(f"Warning: {each}", err=True)
    files = files_of(found)
    for path in files:
        click.echo(f"  {shown(path)}", err=True)
    if not yes:
        click.confirm(f"Delete these files of {name}?", abort=True, err=True)
    commands = list(left_behind(tree, found))
    remove(tree, found, known=needed_by)
    click.echo(f"{name} is deleted.", err=True)
    if commands:
        click.echo("Its data is still there. To remove it as well:", err=True)
        for command in commands:
            click.echo(f"  {command}")
