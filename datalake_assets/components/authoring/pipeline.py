"""A new pipeline: a folder whose files validate, run as they are and have a test of their own."""

import datetime as dt
import difflib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from datalake_assets import names
from datalake_assets.accounts.grants import require_grant
from datalake_assets.accounts.registry import Account, load_registry
from datalake_assets.components.authoring.account import require_name
from datalake_assets.components.authoring.lake_template import lake_files
from datalake_assets.components.authoring.sql_template import ReadTable, sql_files
from datalake_assets.components.authoring.steps_template import steps_files
from datalake_assets.components.authoring.tree import STAGING_PREFIX, Tree, move_in, require_vacant, shown, write_files
from datalake_assets.components.authoring.words import NewName
from datalake_assets.components.declarations import AnyDeclaration, read_everything
from datalake_assets.components.scaffold.columns import LONGEST_TABLE
from datalake_assets.components.scaffold.pipeline import DEFAULT_OWNER
from datalake_assets.components.validation.validate import validate
from datalake_assets.components.words.base import RESERVED_NAMES
from datalake_assets.errors import ConfigurationError

if TYPE_CHECKING:
    from datalake_assets.discovery.report import DiscoveredTable

Origin = Literal["files", "crawl", "sql", "steps"]
PAST_DAYS = 7
MOST_NAMES = 12  # in one message
COPIED = (".yaml", ".yml", ".sql", ".py")  # what declarations consist of


@dataclass(frozen=True)
class NewPipeline:
    """What was written, and in words what a person does with it next, each a command and what it is for."""

    name: str
    written: tuple[Path, ...]
    next_steps: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Made:
    files: Mapping[str, str]
    next_steps: tuple[tuple[str, str], ...] = ()


def make_pipeline(
    tree: Tree,
    name: str,
    *,
    origin: Origin = "files",
    uri: str | None = None,
    reads: Sequence[str] = (),
    owner: str = DEFAULT_OWNER,
    today: dt.date | None = None,
) -> NewPipeline:
    """Write the folder of a new pipeline; all of it appears at once, or nothing.

    Args:
        name: `account/pipeline`.
        origin: what it is made from: raw files in general, a crawl of raw files, SQL over lake tables, steps.
        uri: of the files to crawl.
        reads: `account/table` of the lake tables that its SQL reads.
        owner: `team:NAME` or an e-mail address.
        today: the day that it is made on; its partitions begin with the year.

    Raises:
        ConfigurationError: a name is wrong, taken or unknown, or what was asked for does not fit together.
        AccessDenied: the folder may not be written, or an account has not granted a table.
        Unsupported: a crawl found nothing that can be a pipeline.
    """
    location, pipeline = _parts(name)
    account = _account(tree, location)
    require_pipeline_name(pipeline)
    target = tree.locations / location / pipeline
    require_vacant(target)
    new = NewName(location, pipeline, owner, _first_day(today or dt.date.today()))
    makers: dict[Origin, Callable[[], _Made]] = {
        "files": lambda: _from_files(tree, new, account),
        "crawl": lambda: _from_crawl(tree, new, account, uri),
        "sql": lambda: _from_sql(tree, new, reads),
        "steps": lambda: _Made(steps_files(new), (_rerun(new),)),
    }
    made = makers[origin]()  # a crawl takes its time: the lock is for the moves alone
    with tree.locked(), tree.staging() as staging:
        require_vacant(target)
        staged = staging / tree.locations.name / location / pipeline
        _copy_declarations(tree.locations, staging / tree.locations.name)
        write_files(staged, made.files)
        _require_valid(staged)
        _require_own_tables(staged)
        move_in(staged, target)
    folder = shown(target)
    first = ((f"pytest {folder}", "its own test"), (f"datalake validate {folder}", "after each change"))
    return NewPipeline(name, tuple(target / each for each in made.files), (*first, *made.next_steps))


def require_pipeline_name(name: str) -> None:
    """See that a name can be that of a pipeline, its table and its job.

    Raises:
        InvalidName: it can be none; the message has a near one that can.
        ConfigurationError: it is too long, or a word of Python or Dagster.
    """
    require_name(name, what="pipeline")
    if len(name) > LONGEST_TABLE:
        raise ConfigurationError(
            f"the pipeline name {name!r} has {len(name)} characters",
            expected=f"at most {LONGEST_TABLE}, because its tables are called after it",
        )
    if name in RESERVED_NAMES:
        raise ConfigurationError(
            f"a pipeline cannot be called {name!r}: the word is Python's or Dagster's own",
            todo=f"For example {name}_data",
        )


def _parts(name: str) -> tuple[str, str]:
    location, slash, pipeline = name.partition("/")
    if not slash or not location or not pipeline or "/" in pipeline:
        raise ConfigurationError(
            f"{name!r} is no name of a pipeline", expected="ACCOUNT/NAME, such as flights/bookings"
        )
    return location, pipeline


def _account(tree: Tree, location: str) -> Account:
    known = load_registry(tree.registry)
    if location not in known.accounts:
        near = difflib.get_close_matches(location, list(known.accounts), n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise ConfigurationError(
            f"there is no account {location!r}",
            where=shown(tree.registry),
            expected="one of " + ", ".join(sorted(known.accounts)),
            todo=f"{hint}A new one is made by `datalake new account NAME`",
        )
    folder = tree.locations / location
    if not (folder / "__init__.py").is_file():
        raise ConfigurationError(
            f"the account {location} has no folder with an __init__.py",
            where=shown(folder),
            todo=f"`datalake new account {location}` completes it",
        )
    return known.accounts[location]


def _first_day(today: dt.date) -> str:
    """The first of January, some days ago at least: its partition is over and can run."""
    return dt.date((today - dt.timedelta(PAST_DAYS)).year, 1, 1).isoformat()


def _from_files(tree: Tree, new: NewName, account: Account) -> _Made:
    files = lake_files(new, raw_bucket=account.raw_bucket, warehouse=_warehouse_table(tree, new))
    target = f"s3://{account.raw_bucket}/{new.name}/dt={new.day}/"
    sample = shown(tree.locations / new.location / new.name / "sample.csv")
    return _Made(files, ((f"aws s3 cp {sample} {target}", "and it runs"),))


def _from_crawl(tree: Tree, new: NewName, account: Account, uri: str | None) -> _Made:
    from datalake_assets.components.authoring.crawl_template import crawl_files
    from datalake_assets.components.scaffold.pipeline import upload_hint

    if uri is None:
        raise ConfigurationError(
            "there is nothing to crawl", expected="--from crawl URI, a file, folder or s3:// prefix"
        )
    table = _crawled(uri, new, account)
    hint = upload_hint(table, tree.locations / new.location / new.name, account=new.location)
    steps = ((hint.removeprefix("Upload the files: "), "and it runs"),) if hint else ()
    return _Made(crawl_files(new, table, account), steps)


def _crawled(uri: str, new: NewName, account: Account) -> "DiscoveredTable":
    from datalake_assets.discovery.crawl import CrawlOptions, crawl

    report = crawl([uri], CrawlOptions(account=account.name))
    tables = [each for each in report.tables if each.kind == "files"]
    if not tables:
        reason = "; ".join(f"{each.uri}: {each.reason}" for each in report.skipped[:3]) or "no files with records"
        raise ConfigurationError(f"the crawl found nothing to make a pipeline of: {reason}", where=uri)
    if len(tables) > 1:
        listed = "\n".join(f"  {each.name}: {each.uri}" for each in tables)
        raise ConfigurationError(
            f"the crawl found {len(tables)} tables, and a pipeline is made of one:\n{listed}",
            where=uri,
            todo="Name the folder or a file of one",
        )
    return tables[0]


def _from_sql(tree: Tree, new: NewName, reads: Sequence[str]) -> _Made:
    found = {f"{location}/{table}": each.spec.calendar() for each, location, table in _lake_tables(tree.locations)}
    own = sorted(each for each in found if each.startswith(f"{new.location}/"))
    if not reads and not own:
        raise ConfigurationError(
            f"{new.location} has no lake table yet", expected="--reads ACCOUNT/TABLE, a table of another account"
        )
    wanted = list(dict.fromkeys(reads or own[:1]))
    for name in wanted:
        if name not in found:
            raise _unknown_table(name, list(found))
        location, _, table = name.partition("/")
        require_grant(new.location, location, table, accounts=load_registry(tree.registry))
    calendars = [found[name] for name in wanted if found[name].every is not None]
    if calendars:
        new = replace(new, day=max(each.start for each in calendars).isoformat())
    ends = [each.end for each in calendars if each.end is not None]
    files = sql_files(
        new,
        reads=[ReadTable(name, found[name].every is not None) for name in wanted],
        is_daily=bool(calendars),
        end=min(ends).isoformat() if ends else None,
        warehouse=_warehouse_table(tree, new),
    )
    return _Made(files, (_rerun(new) if calendars else (f"datalake rerun {new.location}/{new.name}", "runs it now"),))


def _unknown_table(name: str, known: Sequence[str]) -> ConfigurationError:
    near = difflib.get_close_matches(name, known, n=1)
    return ConfigurationError(
        f"no pipeline makes a lake table {name!r}",
        expected="ACCOUNT/TABLE, one of " + ", ".join(sorted(known)[:MOST_NAMES]),
        todo=f"Did you mean {near[0]}?" if near else None,
    )


def _rerun(new: NewName) -> tuple[str, str]:
    return f"datalake rerun {new.location}/{new.name} {new.day}", "runs a day now"


def _lake_tables(folder: Path) -> Iterator[tuple[AnyDeclaration, str, str]]:
    """Each lake table of the files without mistakes: its pipeline, its account and its name."""
    for declared in read_everything(folder).pipelines:
        for location, layer, table in declared.spec.assets(declared.location):
            if layer == "lake":
                yield declared, location, table


def _warehouse_table(tree: Tree, new: NewName) -> str:
    """`lake.<name>`, or a longer name if the table of another pipeline is called so."""
    targets = [getattr(each.spec, "warehouse", None) for each in read_everything(tree.locations).pipelines]
    taken = {each.table for each in targets if each is not None}
    wanted = f"lake.{new.name}"
    return wanted if wanted not in taken else f"lake.{f'{new.location}_{new.name}'[: names.MAX_IDENTIFIER_CHARACTERS]}"


def _copy_declarations(folder: Path, target: Path) -> None:
    """A copy of all that is declared, to look at the new pipeline beside the others before anybody sees it."""
    for path in folder.rglob("*"):
        inner = path.relative_to(folder)
        is_ours = not inner.parts[0].startswith(STAGING_PREFIX) and "__pycache__" not in inner.parts
        if is_ours and path.suffix in COPIED and path.is_file():
            place = target / inner
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def _require_own_tables(staged: Path) -> None:
    """See that no table of the account is also the quarantine of another one."""
    owners: dict[str, Path] = {}
    for declared, _, table in _lake_tables(staged.parent):
        for name in (table, names.quarantine_table(table)):
            owner = owners.setdefault(name, declared.path)
            if owner != declared.path:
                other = owner if declared.path.parent == staged else declared.path
                raise ConfigurationError(f"the table {name!r} belongs to the pipeline {other.parent.name} already")


def _require_valid(staged: Path) -> None:
    """See that what was written is what the platform takes, beside all other pipelines."""
    found = validate(staged, folder=staged.parent.parent)
    if found.registry_complaint:
        raise ConfigurationError(found.registry_complaint)
    if found.mistakes:
        listed = "\n".join(f"  {Path(each.path).name}:{each.line}: {each.text}" for each in found.mistakes)
        raise ConfigurationError(f"the new pipeline would have mistakes:\n{listed}")
