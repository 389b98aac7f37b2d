"""`datalake crawl`: find out what unknown files, tables and databases hold."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from datalake_assets.cli.output import json_option, show_json
from datalake_assets.errors import ConfigurationError, PlatformError

if TYPE_CHECKING:
    from datalake_assets.discovery.classifiers.custom import CustomClassifier
    from datalake_assets.discovery.crawl import CrawlOptions
    from datalake_assets.discovery.report import CrawlReport
    from datalake_assets.discovery.state import StateStore

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)i?b?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
MIN_SAMPLE_BYTES, MAX_SAMPLE_BYTES = 4_096, 1_000_000_000


class _Size(click.ParamType[int]):
    """A number of bytes, as in `500kB` or `2MB`, in powers of a thousand."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = _SIZE.fullmatch(str(value).strip())
        if found is None:
            self.fail(f"{value!r} is no size; expected a number with a unit, such as 500kB or 2MB", param, ctx)
        size = int(float(found[1]) * _FACTORS[found[2].lower()])
        if not MIN_SAMPLE_BYTES <= size <= MAX_SAMPLE_BYTES:
            self.fail(f"{value!r} is out of range; expected 4kB to 1GB", param, ctx)
        return size


@click.command()
@click.argument("uris", nargs=-1, required=True, metavar="URI...")
@json_option
@click.option("--register", is_flag=True, help="Create or update tables of the Glue catalog over the files.")
@click.option("--database", metavar="NAME", help="Glue database to register in; the account's own by default.")
@click.option("--account", metavar="NAME", help="Whose role to use where the registry does not tell.")
@click.option("--scaffold", "folder", metavar="FOLDER", type=click.Path(path_type=Path), help="Write a pipeline.")
@click.option("--classifiers", metavar="FILE", type=click.Path(path_type=Path), help="YAML file of own classifiers.")
@click.option("--exclude", metavar="GLOB", multiple=True, help="Leave out these keys; may be repeated.")
@click.option("--table-level", metavar="N", type=click.IntRange(0, 100), help="N folders below the URI make a table.")
@click.option(
    "--policy",
    type=click.Choice(["update", "add_columns", "report"]),
    default="update",
    show_default=True,
    help="What a later crawl may change of what it knew.",
)
@click.option(
    "--deleted",
    type=click.Choice(["keep", "deprecate", "remove"]),
    default="keep",
    show_default=True,
    help="What becomes of tables whose files vanished.",
)
@click.option("--sample-files", metavar="N", type=click.IntRange(1, 1_000), help="Files to read of a group; 4.")
@click.option("--sample-bytes", metavar="SIZE", type=_Size(), help="To read of a file at most; 1MB.")
@click.option("--crawler", type=click.Choice(["datalake", "glue"]), default="datalake", show_default=True)
@click.option("--state", metavar="FILE", help="Where the crawl is remembered; s3:// too.")
@click.option("--no-state", is_flag=True, help="Neither remember the crawl nor compare it with the one before.")
def crawl(
    uris: tuple[str, ...],
    as_json: bool,
    register: bool,
    database: str | None,
    account: str | None,
    folder: Path | None,
    classifiers: Path | None,
    exclude: tuple[str, ...],
    table_level: int | None,
    policy: Literal["update", "add_columns", "report"],
    deleted: Literal["keep", "deprecate", "remove"],
    sample_files: int | None,
    sample_bytes: int | None,
    crawler: str,
    state: str | None,
    no_state: bool,
) -> None:
    """Find out what each URI holds: its tables, columns and partitions, and why.

    A URI is an s3:// prefix, a path, postgresql://user:password@host/database[?schema=NAME] or dynamodb://[TABLE].

    Exit status 1 if nothing usable was found or something asked for failed.
    """
    if state is not None and no_state:
        raise click.UsageError("--state and --no-state exclude each other")
    if database is not None and not (register or crawler == "glue"):
        raise click.UsageError("--database says where to --register")
    if crawler == "glue":
        report = _by_glue(uris, account=account, database=database, exclude=exclude, table_level=table_level,
                          policy=policy, deleted=deleted)  # fmt: skip
    else:
        options = _options(sample_files, sample_bytes, exclude, table_level, classifiers, account)
        report = _crawled(uris, options, _store(uris, account, state, no_state), policy, deleted)
    if as_json:
        show_json(report.as_json())
    else:
        from datalake_assets.cli.crawl_output import show_report

        show_report(report)
    failed = not report.tables
    if register and report.tables and policy != "report":
        failed |= _register(report, account=account, database=database, deleted=deleted)
    if folder is not None and report.tables:
        failed |= _scaffold(report, folder, account=account)
    if failed:
        raise click.exceptions.Exit(1)


def _options(
    sample_files: int | None,
    sample_bytes: int | None,
    exclude: tuple[str, ...],
    table_level: int | None,
    classifiers: Path | None,
    account: str | None,
) -> "CrawlOptions":
    from datalake_assets.discovery.classifiers.sample import SAMPLE_BYTES
    from datalake_assets.discovery.crawl import DEFAULT_SAMPLE_FILES, CrawlOptions

    custom: tuple[CustomClassifier, ...] = ()
    if classifiers is not None:
        from datalake_assets.discovery.classifiers.custom import read_classifiers

        custom = read_classifiers(classifiers)
    return CrawlOptions(
        sample_files=sample_files or DEFAULT_SAMPLE_FILES,
        sample_bytes=sample_bytes or SAMPLE_BYTES,
        exclude=exclude,
        table_level=table_level,
        custom=custom,
        account=account,
    )


def _store(uris: tuple[str, ...], account: str | None, state: str | None, no_state: bool) -> "StateStore | None":
    if no_state:
        return None
    from datalake_assets.discovery.state import StateStore

    return StateStore(state, account=account) if state is not None else StateStore.of(uris, account=account)


def _crawled(
    uris: tuple[str, ...],
    options: "CrawlOptions",
    store: "StateStore | None",
    policy: Literal["update", "add_columns", "report"],
    deleted: Literal["keep", "deprecate", "remove"],
) -> "CrawlReport":
    from datalake_assets.discovery.again import crawl_uris

    is_terminal = sys.stderr.isatty()

    def progress(what: str, number: int) -> None:
        if is_terminal:
            click.echo(f"\r{number:,} objects {what} ", nl=False, err=True)

    report = crawl_uris(uris, options, store=store, policy=policy, deleted=deleted, progress=progress)
    if is_terminal:
        click.echo("\r\033[K", nl=False, err=True)
    return report


def _by_glue(
    uris: tuple[str, ...],
    *,
    account: str | None,
    database: str | None,
    exclude: tuple[str, ...],
    table_level: int | None,
    policy: Literal["update", "add_columns", "report"],
    deleted: Literal["keep", "deprecate", "remove"],
) -> "CrawlReport":
    from datalake_assets.discovery.sources.glue_crawler import crawl_by_glue

    if account is None:
        from datalake_assets.discovery.sources.objects import account_of, is_s3, split_s3

        account = next((found for uri in uris if is_s3(uri) and (found := account_of(split_s3(uri)[0]))), None)
    if account is None:
        raise ConfigurationError(
            "no account of the registry has this bucket", where=uris[0], todo="Name the account with --account"
        )
    return crawl_by_glue(
        uris,
        account=account,
        database=database,
        exclude=exclude,
        table_level=table_level,
        policy=policy,
        deleted=deleted,
    )


def _register(
    report: "CrawlReport",
    *,
    account: str | None,
    database: str | None,
    deleted: Literal["keep", "deprecate", "remove"],
) -> bool:
    from datalake_assets.ingest.register import register_report

    failed = False
    for done in register_report(report, account=account, database=database, deleted=deleted):
        failed |= done.error is not None
        told = f"Error: {done.name}: {done.error}" if done.error else f"{done.name}: {done.what}"
        click.echo(told, err=True)
    return failed


def _scaffold(report: "CrawlReport", folder: Path, *, account: str | None) -> bool:
    from datalake_assets.components.scaffold.pipeline import scaffold, upload_hint

    failed = False
    tables = [table for table in report.tables if table.kind == "files"]
    if not tables:
        click.echo("Error: pipelines are made for files; none of the tables is", err=True)
        return True
    for table in tables:
        target = folder if len(tables) == 1 else folder / table.name
        try:
            for path in scaffold(table, target, account=account):
                click.echo(f"wrote {path}", err=True)
            if hint := upload_hint(table, target, account=account):
                click.echo(hint, err=True)
        except PlatformError as error:
            failed = True
            click.echo(f"Error: {error}", err=True)
    return failed
