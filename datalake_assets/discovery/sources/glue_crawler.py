"""Let an AWS Glue crawler do the work, and tell its result as a report like any other.

The crawler is created or updated, started, and watched until it has ended; it writes its tables to the catalog
itself. It takes minutes where `datalake crawl` takes seconds: for those who have one and want it to stay.
"""

import json
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.discovery.changes import compare
from datalake_assets.discovery.report import Change, CrawlReport, DiscoveredTable
from datalake_assets.discovery.sources.glue_tables import glue_table
from datalake_assets.discovery.sources.objects import is_s3
from datalake_assets.discovery.state import state_name
from datalake_assets.errors import ConfigurationError, TransientError, Unavailable

TABLE_PREFIX = "raw_"
DEADLINE_SECONDS = 3_600.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 30.0
MAX_CRAWLER_NAME = 255
_UPDATE = {"update": "UPDATE_IN_DATABASE", "add_columns": "UPDATE_IN_DATABASE", "report": "LOG"}
_DELETE = {"keep": "LOG", "deprecate": "DEPRECATE_IN_DATABASE", "remove": "DELETE_FROM_DATABASE"}
_MADE_BY = "UPDATED_BY_CRAWLER"  # the table parameter in which Glue names the crawler


def crawl_by_glue(
    uris: Sequence[str],
    *,
    account: str,
    database: str | None = None,
    name: str | None = None,
    exclude: Sequence[str] = (),
    table_level: int | None = None,
    policy: Literal["update", "add_columns", "report"] = "update",
    deleted: Literal["keep", "deprecate", "remove"] = "keep",
    glue: Any = None,
    deadline_seconds: float = DEADLINE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> CrawlReport:
    """Run a Glue crawler over S3 prefixes and DynamoDB tables and report the tables it made.

    Args:
        account: by name or id: its role is the crawler's, and must trust glue.amazonaws.com.
        database: that the crawler writes to; by default the account's own, with `raw_` before its tables' names.
        name: of the crawler, by default one that follows from the URIs.
        table_level: folders below the bucket, the bucket being 1, as Glue counts.
        glue: the client, by default that of the account.

    Raises:
        ConfigurationError: a URI that Glue cannot crawl from here, or the crawler failed; the message has its reason.
        Unavailable: it did not end in time, or somebody stopped it.
        AccessDenied, Throttled: Glue refused a call.
    """
    from datalake_assets.accounts.registry import registry
    from datalake_assets.accounts.sessions import session

    owner = registry().account(account)
    client = glue or session(owner.name).client("glue")
    target = database or owner.glue_database
    prefix = "" if database else TABLE_PREFIX
    crawler = (name or f"datalake-{state_name(uris)}")[:MAX_CRAWLER_NAME]
    settings = _settings(uris, owner.role, target, prefix, exclude, table_level, policy, deleted)
    run = _Run(client, crawler, deadline_seconds, clock, pause)
    run.put(settings)
    before = _tables(client, target, crawler, prefix)
    run.run()
    after = _tables(client, target, crawler, prefix)
    applied = "reported only" if policy == "report" else "applied by Glue"
    changes = tuple(_with(change, applied) for change in compare(before, after)) if before else None
    return CrawlReport(
        uris=tuple(uris),
        tables=after,
        listed_files=sum(table.files for table in after),
        listed_bytes=sum(table.bytes for table in after),
        changes=changes,
        notes=(f"crawled by AWS Glue, crawler {crawler}",),
    )


def _with(change: Change, applied: str) -> Change:
    import dataclasses

    return dataclasses.replace(change, applied=applied)


def _settings(
    uris: Sequence[str],
    role: str,
    database: str,
    prefix: str,
    exclude: Sequence[str],
    table_level: int | None,
    policy: str,
    deleted: str,
) -> dict[str, Any]:
    targets: dict[str, list[dict[str, Any]]] = {}
    for uri in uris:
        if is_s3(uri):
            path = {"Path": uri, "Exclusions": list(exclude)} if exclude else {"Path": uri}
            targets.setdefault("S3Targets", []).append(path)
        elif uri.startswith("dynamodb://") and uri.removeprefix("dynamodb://"):
            targets.setdefault("DynamoDBTargets", []).append({"Path": uri.removeprefix("dynamodb://")})
        else:
            raise ConfigurationError(
                f"a Glue crawler cannot read {uri.partition('://')[0]!r} from here",
                expected="s3://bucket/prefix or dynamodb://table",
                todo="Crawl it with `crawler: datalake`",
            )
    grouping: dict[str, Any] = {"TableGroupingPolicy": "CombineCompatibleSchemas"}
    if table_level is not None:
        grouping = {"TableLevelConfiguration": table_level}
    output: dict[str, Any] = {"Partitions": {"AddOrUpdateBehavior": "InheritFromTable"}}
    if policy == "add_columns":
        output["Tables"] = {"AddOrUpdateBehavior": "MergeNewColumns"}
    return {
        "Role": role,
        "DatabaseName": database,
        "Description": "made by `datalake crawl`",
        "Targets": targets,
        "TablePrefix": prefix,
        "SchemaChangePolicy": {"UpdateBehavior": _UPDATE[policy], "DeleteBehavior": _DELETE[deleted]},
        "RecrawlPolicy": {"RecrawlBehavior": "CRAWL_EVERYTHING"},
        "Configuration": json.dumps({"Version": 1.0, "CrawlerOutput": output, "Grouping": grouping}, sort_keys=True),
    }


class _Run:
    """One crawler, from its settings to the end of a run."""

    def __init__(
        self,
        client: Any,
        name: str,
        deadline_seconds: float,
        clock: Callable[[], float],
        pause: Callable[[float], None],
    ) -> None:
        self._client, self._name = client, name
        self._clock, self._pause = clock, pause
        self._seconds = deadline_seconds
        self._until = clock() + deadline_seconds
        self._next_pause = FIRST_PAUSE_SECONDS
        self._where = f"Glue crawler {name}"

    def put(self, settings: dict[str, Any]) -> None:
        """Create the crawler or bring it to these settings; a run in progress is waited for."""
        errors = self._client.exceptions
        while True:
            with aws_errors(self._where):
                try:
                    self._client.create_crawler(Name=self._name, **settings)
                    return
                except errors.AlreadyExistsException:
                    pass
                try:
                    self._client.update_crawler(Name=self._name, **settings)
                    return
                except errors.CrawlerRunningException:
                    pass  # somebody else started it: it has the old settings
            self._wait()

    def run(self) -> None:
        """Start the crawler and return when this run has ended well."""
        errors = self._client.exceptions
        while True:
            before = self._last_start(self._crawler())
            with aws_errors(self._where):
                try:
                    self._client.start_crawler(Name=self._name)
                    break
                except errors.CrawlerRunningException:
                    pass  # a run that began before may have missed what is there now
            self._wait()
        self._next_pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                found = self._crawler()
            except TransientError:
                # It runs on without us; only the deadline ends the waiting.
                self._wait()
                continue
            # Right after the start Glue may still tell of the run before.
            if found["State"] == "READY" and self._last_start(found) != before:
                break
            self._wait()
        self._require_success(found.get("LastCrawl", {}))

    def _crawler(self) -> Any:
        with aws_errors(self._where):
            return self._client.get_crawler(Name=self._name)["Crawler"]

    @staticmethod
    def _last_start(crawler: Any) -> Any:
        return crawler.get("LastCrawl", {}).get("StartTime")

    def _wait(self) -> None:
        left = self._until - self._clock()
        if left <= 0:
            self._stop()
            raise Unavailable(
                f"it did not end within {self._seconds:,.0f} seconds and was told to stop",
                where=self._where,
                todo="Crawl fewer files, or give it more time",
            )
        # A little by chance: crawlers that were started together should not ask together.
        self._pause(min(self._next_pause * random.uniform(0.9, 1.1), left))
        self._next_pause = min(self._next_pause * 1.5, LONGEST_PAUSE_SECONDS)

    def _stop(self) -> None:
        errors = self._client.exceptions
        with aws_errors(self._where):
            try:
                self._client.stop_crawler(Name=self._name)
            except (errors.CrawlerNotRunningException, errors.CrawlerStoppingException):
                return

    def _require_success(self, last: Any) -> None:
        status = last.get("Status")
        if status == "SUCCEEDED":
            return
        told = last.get("ErrorMessage") or "Glue tells no reason"
        logs = "/".join(filter(None, (last.get("LogGroup"), last.get("LogStream"))))
        if status == "CANCELLED":
            raise Unavailable("the run was stopped by somebody else", where=self._where, todo="Crawl again")
        raise ConfigurationError(
            f"the run ended as {status}: {told}",
            where=self._where,
            todo=f"Its log is {logs}" if logs else "Look at its log in CloudWatch",
        )


def _tables(client: Any, database: str, crawler: str, prefix: str) -> tuple[DiscoveredTable, ...]:
    """The tables that this crawler made or updated."""
    where = f"database {database}"
    found = []
    with aws_errors(where):
        try:
            pages = client.get_paginator("get_tables").paginate(DatabaseName=database)
            tables = [
                table
                for page in pages
                for table in page["TableList"]
                if table.get("Parameters", {}).get(_MADE_BY) == crawler
            ]
        except client.exceptions.EntityNotFoundException:
            return ()  # the crawler creates its database
        for table in tables:
            partitions: list[Any] = []
            if table.get("PartitionKeys"):
                pages = client.get_paginator("get_partitions").paginate(
                    DatabaseName=database, TableName=table["Name"], ExcludeColumnSchema=True
                )
                partitions = [each for page in pages for each in page["Partitions"]]
            found.append(glue_table(table, partitions, prefix=prefix))
    return tuple(sorted(found, key=lambda table: table.name))
