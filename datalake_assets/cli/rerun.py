"""`datalake rerun`: run partitions of a pipeline again, although a sensor has run them already."""

import difflib
import json
from collections.abc import Sequence
from typing import Any

import click

from datalake_assets.cli.output import count, json_option, show_json
from datalake_assets.cli.webserver import FAILED, GOING, PARTITION_TAG, Run, Webserver
from datalake_assets.errors import ConcurrentChange, ConfigurationError, PlatformError

MOST_RUNS = 400
RANGE = ".."
REASON_TAG = "datalake/reason"
WILL_RETRY_TAG, AUTO_RETRY_TAG = "dagster/will_retry", "dagster/auto_retry_run_id"


@click.command()
@click.argument("pipeline", metavar="ACCOUNT/NAME")
@click.argument("partitions", nargs=-1, metavar="[PARTITION]...")
@click.option("--from-failure", is_flag=True, help="Take over what the last run has finished before it failed.")
@json_option
def rerun(pipeline: str, partitions: tuple[str, ...], from_failure: bool, as_json: bool) -> None:
    """Start a run for each PARTITION of a pipeline: a key, or FIRST..LAST; none for a pipeline without partitions.

    Dagster's webserver starts them, at DATALAKE_UI_URL. A partition of which a run is going is refused. Exit status 1
    if one could not be started; the others are started all the same.
    """
    from datalake_assets.accounts.settings import settings
    from datalake_assets.cli.instance import current_user

    location, slash, job = pipeline.partition("/")
    if not slash or not location or not job:
        raise ConfigurationError(f"{pipeline!r} is no name of a pipeline", expected="ACCOUNT/NAME")
    server = Webserver(settings().ui_url.rstrip("/"))
    server.require_job(location, job)
    keys = wanted_partitions(pipeline, partitions, server.partitions(location, job))
    reason = {REASON_TAG: f"rerun by {current_user()}"}
    started: dict[str, str] = {}
    failed: dict[str, str] = {}
    for key in keys:
        label = f"{pipeline} {key or ''}".rstrip()
        try:
            last = _last_run(server, location, job, key)
            require_not_going(label, last, server)
            if from_failure:
                run_id = server.launch_from_failure(_failed(label, last), reason)
            else:
                run_id = server.launch(location, job, reason | ({PARTITION_TAG: key} if key else {}))
        except PlatformError as error:
            failed[label] = str(error)
            if not as_json:
                click.echo(f"Error: {label}: {error}" if len(keys) > 1 else f"Error: {error}", err=True)
            continue
        started[key or ""] = run_id
        if not as_json:
            click.echo(f"{label}: {server.run_url(run_id)}")
    if as_json:
        show_json({"pipeline": pipeline, "started": started, "failed": failed})
    elif len(keys) > 1:
        click.echo(f"{count(len(started), 'run')} started.")
    if failed:
        raise click.exceptions.Exit(1)


def wanted_partitions(pipeline: str, texts: Sequence[str], keys: Sequence[str]) -> list[str | None]:
    """The partition keys that a person named, each once and in this order; `[None]` for a pipeline without partitions.

    Raises:
        ConfigurationError: the pipeline has no such partition, or one has to be named.
    """
    if not keys:
        if texts:
            raise ConfigurationError(f"{pipeline} has no partitions, so {texts[0]!r} is none of them")
        return [None]
    if not texts:
        raise ConfigurationError(
            f"{pipeline} is partitioned, and no partition is named",
            expected=f"a key such as {keys[-1]}, or {keys[0]}{RANGE}{keys[-1]}",
        )
    place = {key: number for number, key in enumerate(keys)}
    found: dict[str, None] = {}
    for text in texts:
        first, is_range, last = text.partition(RANGE)
        for each in (first, last) if is_range else (text,):
            if each not in place:
                raise _no_partition(pipeline, each, keys)
        if not is_range:
            found[text] = None
            continue
        if place[last] < place[first]:
            raise ConfigurationError(f"{text} ends before it begins", expected=f"{last}{RANGE}{first}")
        found.update(dict.fromkeys(keys[place[first] : place[last] + 1]))
    if len(found) > MOST_RUNS:
        raise ConfigurationError(
            f"{len(found):,} runs are too many for one command",
            expected=f"at most {MOST_RUNS}",
            todo="A backfill in the UI takes more",
        )
    return list(found)


def _no_partition(pipeline: str, text: str, keys: Sequence[str]) -> ConfigurationError:
    near = difflib.get_close_matches(text, keys, n=1)
    return ConfigurationError(
        f"{pipeline} has no partition {text!r}",
        expected=f"{keys[0]} to {keys[-1]}",
        todo=f"Did you mean {near[0]}?" if near else None,
    )


def _last_run(server: Webserver, location: str, job: str, key: str | None) -> Run | None:
    """The newest run that takes the partition: by itself, or as one of a range."""
    recent = [run for run in server.runs(location, job) if key is None or takes(run.tags, key)]
    alone = server.runs(location, job, tags={PARTITION_TAG: key}) if key else []
    return max([*recent, *alone], key=lambda run: run.created_at, default=None)


def takes(tags: Any, key: str) -> bool:
    """Whether a run with these tags takes a partition."""
    from datalake_assets.arrivals.run_tags import PARTITIONS_TAG, RANGE_END_TAG, RANGE_START_TAG

    if PARTITION_TAG in tags:
        return bool(tags[PARTITION_TAG] == key)
    if not (RANGE_START_TAG in tags and tags[RANGE_START_TAG] <= key <= tags.get(RANGE_END_TAG, "")):
        return False
    if PARTITIONS_TAG not in tags:
        return True
    named = [str(each).partition(RANGE) for each in json.loads(tags[PARTITIONS_TAG])]
    return any(first <= key <= (last if is_range else first) for first, is_range, last in named)


def require_not_going(label: str, last: Run | None, server: Webserver) -> None:
    """See that nothing works on the partition: two runs of it would do the same twice.

    Raises:
        ConcurrentChange: a run is going, waits in the queue, or will be started again by Dagster itself.
    """
    if last is None:
        return
    what = last.status.lower() if last.status in GOING else None
    # Between the failure and the retry that Dagster starts by itself there are some seconds.
    if last.tags.get(WILL_RETRY_TAG) == "true" and AUTO_RETRY_TAG not in last.tags and last.status in FAILED:
        what = "about to be started again, as `retries` says"
    if what:
        raise ConcurrentChange(
            f"a run of {label} is {what}", where=server.run_url(last.run_id), todo="Wait for its end"
        )


def _failed(label: str, last: Run | None) -> Run:
    if last is None:
        raise ConfigurationError("it has never run", todo="Leave --from-failure away")
    if last.status not in FAILED:
        raise ConfigurationError(
            f"the last run of {label} succeeded: {last.run_id}", todo="Leave --from-failure away to run it again"
        )
    return last
