"""`datalake vacuum`: remove versions that nobody can refer to any more."""

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from datalake_assets.cli.output import Column, json_option, number, show_errors, show_json, show_table, size
from datalake_assets.errors import PlatformError

if TYPE_CHECKING:
    from datalake_assets.catalog.vacuum import VacuumResult

MAX_NAMED = 10


class _Duration(click.ParamType[timedelta]):
    """`24h`, `90m`, `2d`, as in YAML."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        from datalake_assets.components.words.durations import seconds

        try:
            return timedelta(seconds=seconds(value))
        except ValueError as error:
            self.fail(f"{value!r} is {error}", param, ctx)


@click.command()
@click.argument("pipelines", nargs=-1, metavar="[PIPELINE]...")
@click.option("--dry-run", is_flag=True, help="Only tell what would happen.")
@click.option("--grace", type=_Duration(), default="24h", show_default=True, help="How long a query may take at most.")
@click.option("--keep", type=click.IntRange(1), metavar="N", help="Versions to keep. [default: publish.keep_versions]")
@json_option
def vacuum(pipelines: tuple[str, ...], dry_run: bool, grace: timedelta, keep: int | None, as_json: bool) -> None:
    """Remove old versions from the tables of every PIPELINE or of some, in two visits.

    The first marks what is neither published nor among the newest to keep. One that comes after the grace time removes
    what is marked, so that no query loses the files it reads. Exit status 1 if a table failed or lacks objects.
    """
    from datalake_assets.components.pipelines import find_pipelines
    from datalake_assets.components.upkeep.vacuuming import vacuum_pipeline

    done: list[VacuumResult] = []
    failed: dict[str, str] = {}
    for declared in find_pipelines(pipelines):
        try:
            done += vacuum_pipeline(declared, keep_versions=keep, grace=grace, dry_run=dry_run)
        except PlatformError as error:
            failed[declared.name] = str(error)
    damaged = {result.table: result.damaged for result in done if result.damaged}
    if as_json:
        show_json([*done, *({"pipeline": name, "error": error} for name, error in failed.items())])
    else:
        if done:
            _show(done, dry_run)
        elif not failed:
            click.echo("No table is published yet.")
        show_errors(failed | {table: _damage(partitions) for table, partitions in damaged.items()})
    if failed or damaged:
        raise click.exceptions.Exit(1)


def _show(done: "list[VacuumResult]", dry_run: bool) -> None:
    rows = [
        [
            each.table,
            f"{len(each.marked):,}",
            f"{len(each.removed):,}",
            f"{each.objects:,}",
            size(each.bytes),
            f"{each.kept:,}",
            f"{len(each.repaired):,}",
        ]
        for each in done
        if each.kept or each.removed or each.marked  # a table that never had a version is no news
    ]
    would = "would be " if dry_run else ""
    show_table(
        [
            Column("table"),
            number(f"{would}marked"),
            number(f"{would}removed"),
            number("objects"),
            number("freed"),
            number("kept"),
            number("repaired", is_extra=True),
        ],
        rows,
    )
    if dry_run:
        for each in done:
            for word, versions in (("mark", each.marked), ("remove", each.removed)):
                for version in versions[:MAX_NAMED]:
                    click.echo(f"would {word} {each.table} {version.partition} {version.version_id}".replace("  ", " "))
                if len(versions) > MAX_NAMED:
                    click.echo(f"would {word} {len(versions) - MAX_NAMED} more of {each.table}")


def _damage(partitions: list[str]) -> str:
    named = ", ".join(partition or "the table" for partition in partitions[:MAX_NAMED])
    return f"the published version lacks objects: {named}. Nothing of it is removed; roll back, or run it again"
