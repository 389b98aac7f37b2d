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


@new.command()
@click.argument("name", metavar="ACCOUNT/NAME")
@click.argument("uri", required=False)
@click.option(
    "--from",
    "origin",
    type=click.Choice(["files", "crawl", "sql", "steps"]),
    default="files",
    show_default=True,
    help="What it starts as: raw files with an example, the files that a crawl of URI finds, a SELECT, or steps.",
)
@click.option(
    "--reads", metavar="ACCOUNT/TABLE", multiple=True, help="A lake table that its SQL reads; may be repeated."
)
@click.option("--owner", metavar="OWNER", help="team:NAME or an e-mail address.")
def pipeline(name: str, uri: str | None, origin: str, reads: tuple[str, ...], owner: str | None) -> None:
    """Write a pipeline that runs as it is, with comments that teach and a test of its own.

    With `--from crawl`, URI is what `datalake crawl` takes: a file, a folder, an s3:// object or prefix.
    """
    from datalake_assets.components.authoring.pipeline import make_pipeline
    from datalake_assets.components.authoring.tree import Tree, shown
    from datalake_assets.components.scaffold.pipeline import DEFAULT_OWNER

    if uri is not None and origin != "crawl":
        raise click.UsageError(f"a URI is for --from crawl; {uri!r} is one too many")
    if origin == "crawl" and uri is None:
        raise click.UsageError("--from crawl takes the URI of the files")
    if reads and origin != "sql":
        raise click.UsageError("--reads is for --from sql")
    made = make_pipeline(
        Tree.of_project(),
        name,
        origin=origin,  # type: ignore[arg-type]  # click has checked it
        uri=uri,
        reads=reads,
        owner=owner or DEFAULT_OWNER,
    )
    for path in made.written:
        click.echo(f"wrote {shown(path)}", err=True)
    width = max(len(command) for command, _ in made.next_steps)
    click.echo("Next:", err=True)
    for command, purpose in made.next_steps:
        click.echo(f"  {command.ljust(width)}  # {purpose}", err=True)
