"""`datalake rollback`: put an older version of a partition back, in the lake, in Dagster, in the warehouse."""

import uuid
from typing import TYPE_CHECKING, Any

import click

from datalake_assets.cli.output import count, json_option, moment, show_json
from datalake_assets.cli.version_ids import resolve, short
from datalake_assets.errors import ConfigurationError

if TYPE_CHECKING:
    from datalake_assets.catalog.history import VersionInfo


@click.command()
@click.argument("pipeline")
@click.argument("partition", required=False)
@click.option("--to", "to", metavar="VERSION", help="Its id, or how it begins. [default: the one before the published]")
@click.option("--reason", required=True, help="Why, for people who look at the table later.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def rollback(pipeline: str, partition: str | None, to: str | None, reason: str, yes: bool, as_json: bool) -> None:
    """Make readers see an older version of a PARTITION again; then the warehouse, and the models on it, follow.

    Nothing is lost: the old rows are published as a new version. The next change of the partition's files computes it
    anew.
    """
    from datalake_assets.cli.instance import current_user, dagster_instance
    from datalake_assets.cli.versions import versions_of
    from datalake_assets.components.arriving import is_unprocessed
    from datalake_assets.components.pipelines import find_pipeline
    from datalake_assets.components.upkeep.restoring import roll_back
    from datalake_assets.ingest.outcomes import Failed, Loaded

    declared = find_pipeline(pipeline)
    key = declared.partition(partition)
    label = declared.label(key)
    if not reason.strip():
        raise ConfigurationError("the reason is empty", expected="--reason with a few words")
    with dagster_instance() as instance:  # before anything changes: without it nobody would see what happened
        now, wanted = _choose(versions_of(declared, key), to, label)
        will_be_replaced = is_unprocessed(declared, key)
        if not as_json:
            _show_plan(label, now, wanted)
            if will_be_replaced:
                click.echo("  but   its files changed and wait for their run, which will replace the old rows again")
        if not yes:
            click.confirm("Publish the old rows again?", abort=True, err=as_json)
        told: dict[str, Any] = {
            "pipeline": declared.name, "partition": key, "from": now.version_id, "to": wanted.version_id,
            "reason": reason, "loaded": None,
            "will_be_replaced": will_be_replaced,
        }  # fmt: skip
        for outcome in roll_back(
            declared,
            key,
            to=wanted.version_id,
            reason=reason,
            requested_by=current_user(),
            run_id=f"rollback-{uuid.uuid4().hex}",
            report=instance.report_runless_asset_event,
        ):
            if isinstance(outcome, Failed):
                raise _explained(outcome.error, is_published="version" in told)
            if isinstance(outcome, Loaded):
                told["loaded"] = outcome.rows
                _say(f"✓ {count(outcome.rows, 'row')} in the warehouse", as_json)
            else:
                told |= {"version": outcome.version, "rows": outcome.counts.rows_published}
                _say(f"✓ {count(told['rows'], 'row')} in the lake, as version {outcome.version}", as_json)
    if as_json:
        show_json(told)


def _choose(versions: "list[VersionInfo]", to: str | None, label: str) -> "tuple[VersionInfo, VersionInfo]":
    """The published version and the one to restore."""
    published = next((each for each in versions if each.state == "published"), None)
    if published is None:
        raise ConfigurationError(f"nothing of {label} is published, so there is nothing to replace")
    by_id = {each.version_id: each for each in versions}
    if to is not None:
        wanted = by_id[resolve(to, list(by_id), of=label)]
        if wanted.state != "kept":
            raise ConfigurationError(
                f"version {short(wanted.version_id)} of {label} is {wanted.state}", expected="a version that is kept"
            )
        return published, wanted
    if published.restored_from:
        # The one before it is what somebody wanted to be rid of: going there must be said, not guessed.
        raise ConfigurationError(
            f"{label} shows version {short(published.restored_from)} again already, because: {published.reason}",
            todo="Name the version with --to; naming this one finishes a rollback that was cut off",
        )
    kept = [each for each in versions if each.state == "kept" and each.version_id < published.version_id]
    if not kept:
        raise ConfigurationError(f"{label} has no kept version before the published one", todo="`datalake versions`")
    return published, kept[0]


def _show_plan(label: str, now: "VersionInfo", wanted: "VersionInfo") -> None:
    click.echo(label)
    for word, each in (("from", now), ("to", wanted)):
        rows = count(each.row_count or 0, "row")
        click.echo(f"  {word:4}  {short(each.version_id)}  {rows:>12}, made {moment(each.created_at)} UTC")


def _say(text: str, as_json: bool) -> None:
    if not as_json:
        click.echo(text)


def _explained(error: Exception, *, is_published: bool) -> Exception:
    """The failure of a load, told as what it is: the lake has changed, and the warehouse follows within the hour."""
    from datalake_assets.errors import PlatformError

    if not is_published or not isinstance(error, PlatformError):
        return error
    return type(error)(
        f"the lake shows the old rows, but the warehouse was not loaded: {error.found}",
        where=error.where,
        expected=error.expected,
        todo=f"{error.todo + '. ' if error.todo else ''}`datalake load` loads it, or the job warehouse_follows_lake",
    )
