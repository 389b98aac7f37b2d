"""A crawl by AWS Glue, against crawlers that live through their states as the service's do.

The client is the real one: it checks every request against the service's own model and parses every answer.
"""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from datalake_assets.discovery.report import CrawlReport
from datalake_assets.discovery.sources.glue_crawler import crawl_by_glue
from datalake_assets.discovery.sources.glue_tables import glue_type
from datalake_assets.errors import ConfigurationError, Unavailable

URI = "s3://raw-bucket/sales"


class Refused(Exception):
    """An error of the service."""


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object) -> list[bytes]:
        return [self._body]


@dataclass
class FakeGlue:
    """Crawlers and tables of one database. A run takes `run_polls` looks; `crawl` is what it does at its end."""

    run_polls: int = 3
    status: str = "SUCCEEDED"
    stale_polls: int = 0
    crawl: Callable[["FakeGlue"], None] = lambda glue: None
    crawlers: dict[str, dict[str, Any]] = field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    partitions: dict[str, list[list[str]]] = field(default_factory=dict)
    left: int = 0
    stale: int = 0
    runs: int = 0
    calls: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def client(self) -> Any:
        made = boto3.client(
            "glue",
            region_name="eu-central-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=boto3.session.Config(retries={"total_max_attempts": 1}),
        )
        made.meta.events.register("before-send.glue", self._answer)
        return made

    def _answer(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        operation = request.headers["X-Amz-Target"].decode().rpartition(".")[2]
        self.calls.append(operation)
        try:
            if self.failures:
                raise Refused(self.failures.pop(0))
            body, status = getattr(self, operation)(json.loads(request.body)), 200
        except Refused as error:
            body, status = {"__type": str(error), "message": str(error)}, 400
        data = json.dumps(body, default=lambda at: at.timestamp()).encode()
        return AWSResponse(request.url, status, {"content-type": "application/x-amz-json-1.1"}, _Raw(data))

    def CreateCrawler(self, words: dict[str, Any]) -> dict[str, Any]:
        if words["Name"] in self.crawlers:
            raise Refused("AlreadyExistsException")
        self.crawlers[words["Name"]] = {**words, "State": "READY"}
        return {}

    def UpdateCrawler(self, words: dict[str, Any]) -> dict[str, Any]:
        if self._known(words)["State"] != "READY":
            raise Refused("CrawlerRunningException")
        self.crawlers[words["Name"]].update(words)
        return {}

    def StartCrawler(self, words: dict[str, Any]) -> dict[str, Any]:
        crawler = self._known(words)
        if crawler["State"] != "READY":
            raise Refused("CrawlerRunningException")
        crawler["State"], self.left, self.stale = "RUNNING", self.run_polls, self.stale_polls
        return {}

    def StopCrawler(self, words: dict[str, Any]) -> dict[str, Any]:
        if self._known(words)["State"] != "RUNNING":
            raise Refused("CrawlerNotRunningException")
        self.status, self.left = "CANCELLED", 0
        return {}

    def GetCrawler(self, words: dict[str, Any]) -> dict[str, Any]:
        crawler = self._known(words)
        if crawler["State"] == "RUNNING":
            if self.stale:
                self.stale -= 1
                return {"Crawler": {**self._shown(crawler), "State": "READY"}}
            self.left -= 1
            if self.left <= 0:
                self._end(crawler)
        return {"Crawler": self._shown(crawler)}

    def _end(self, crawler: dict[str, Any]) -> None:
        self.runs += 1
        started = dt.datetime(2026, 11, 20, tzinfo=dt.UTC) + dt.timedelta(hours=self.runs)
        crawler["LastCrawl"] = {"Status": self.status, "StartTime": started, "LogGroup": "/aws-glue/crawlers"}
        if self.status == "FAILED":
            crawler["LastCrawl"]["ErrorMessage"] = "Insufficient Lake Formation permission"
        crawler["State"] = "READY"
        if self.status == "SUCCEEDED":
            self.crawl(self)
            for table in self.tables.values():
                table["Parameters"].setdefault("UPDATED_BY_CRAWLER", crawler["Name"])

    @staticmethod
    def _shown(crawler: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in crawler.items() if key in ("Name", "State", "LastCrawl", "Role")}

    def GetTables(self, words: dict[str, Any]) -> dict[str, Any]:
        return {"TableList": [{"Name": name, **table} for name, table in self.tables.items()]}

    def GetPartitions(self, words: dict[str, Any]) -> dict[str, Any]:
        found = self.partitions.get(words["TableName"], [])
        location = self.tables[words["TableName"]]["StorageDescriptor"]["Location"]
        return {
            "Partitions": [
                {"Values": values, "StorageDescriptor": {"Location": f"{location}dt={values[0]}/"}} for values in found
            ]
        }

    def _known(self, words: dict[str, Any]) -> dict[str, Any]:
        if words["Name"] not in self.crawlers:
            raise Refused("EntityNotFoundException")
        return self.crawlers[words["Name"]]

    def run(self, **words: Any) -> CrawlReport:
        def pause(seconds: float) -> None:
            self.seconds += seconds

        return crawl_by_glue(
            [URI], account="flights", glue=self.client(), clock=lambda: self.seconds, pause=pause, **words
        )


def put_sales(glue: FakeGlue, *columns: tuple[str, str]) -> None:
    glue.tables["raw_sales"] = {
        "StorageDescriptor": {
            "Location": "s3://raw-bucket/sales/",
            "Columns": [{"Name": name, "Type": kind} for name, kind in columns],
            "SerdeInfo": {"Parameters": {"field.delim": ";"}},
        },
        "PartitionKeys": [{"Name": "dt", "Type": "string"}],
        "Parameters": {
            "classification": "csv",
            "skip.header.line.count": "1",
            "objectCount": "2",
            "sizeKey": "100",
            "recordCount": "7",
        },
    }
    glue.partitions["raw_sales"] = [["2026-11-02"], ["2026-11-01"]]


def two_columns(glue: FakeGlue) -> None:
    put_sales(glue, ("Id", "bigint"), ("tags", "array<struct<a:int,b:string>>"))


def test_a_crawler_is_made_run_and_its_tables_are_reported() -> None:
    glue = FakeGlue(crawl=two_columns)
    report = glue.run(exclude=["**/tmp/**"], table_level=2, deleted="deprecate")
    (table,) = report.tables
    assert (table.name, table.kind, table.rows, table.files) == ("sales", "glue", 7, 2)
    assert table.source is not None
    assert (table.source.format, table.source.delimiter, table.source.header) == ("csv", ";", 1)
    assert [(c.name, c.raw_path, str(c.type)) for c in table.columns] == [
        ("id", "Id", "bigint"),
        ("tags", "tags", "array<struct<a:int,b:varchar>>"),
    ]
    assert [each.values for each in table.partitions] == [("2026-11-01",), ("2026-11-02",)]
    assert report.changes is None
    (crawler,) = glue.crawlers.values()
    assert crawler["Targets"] == {"S3Targets": [{"Path": URI, "Exclusions": ["**/tmp/**"]}]}
    assert crawler["SchemaChangePolicy"] == {
        "UpdateBehavior": "UPDATE_IN_DATABASE",
        "DeleteBehavior": "DEPRECATE_IN_DATABASE",
    }
    assert json.loads(crawler["Configuration"])["Grouping"] == {"TableLevelConfiguration": 2}
    assert (crawler["TablePrefix"], crawler["DatabaseName"]) == ("raw_", "flights_lake")


def test_a_later_run_tells_what_changed() -> None:
    glue = FakeGlue(crawl=two_columns)
    glue.run()
    glue.crawl = lambda found: put_sales(
        found, ("Id", "string"), ("tags", "array<struct<a:int,b:string>>"), ("x", "int")
    )
    changes = glue.run().changes
    assert changes is not None
    assert {(c.how, c.name) for c in changes} == {("changed", "sales.id"), ("new", "sales.x")}
    assert len(glue.crawlers) == 1


def test_tables_of_others_are_not_reported() -> None:
    glue = FakeGlue(crawl=two_columns)
    glue.tables["flights"] = {"StorageDescriptor": {}, "Parameters": {"UPDATED_BY_CRAWLER": "another"}}
    assert [table.name for table in glue.run().tables] == ["sales"]


def test_an_answer_from_before_the_start_is_not_taken_for_the_end() -> None:
    glue = FakeGlue(crawl=two_columns)
    glue.run()
    glue.stale_polls = 2
    put_sales(glue, ("old", "int"))
    assert [column.name for column in glue.run().tables[0].columns] == ["id", "tags"]


def test_a_run_in_progress_is_waited_for_and_ours_comes_after_it() -> None:
    glue = FakeGlue(crawl=two_columns)
    glue.run()
    (name,) = glue.crawlers
    glue.crawlers[name]["State"], glue.left = "RUNNING", 2

    def look(seconds: float) -> None:
        glue.seconds += seconds
        glue.GetCrawler({"Name": name})

    crawl_by_glue([URI], account="flights", glue=glue.client(), clock=lambda: glue.seconds, pause=look)
    assert glue.runs == 3


def test_a_failed_run_says_why() -> None:
    with pytest.raises(ConfigurationError, match="Insufficient Lake Formation permission") as caught:
        FakeGlue(status="FAILED").run()
    assert "/aws-glue/crawlers" in str(caught.value)


def test_a_run_that_somebody_stopped_is_worth_another_try() -> None:
    with pytest.raises(Unavailable, match="stopped by somebody else"):
        FakeGlue(status="CANCELLED").run()


def test_a_run_that_does_not_end_is_stopped_at_the_deadline() -> None:
    glue = FakeGlue(run_polls=10**6)
    with pytest.raises(Unavailable, match="did not end within 600 seconds"):
        glue.run(deadline_seconds=600)
    assert glue.calls[-1] == "StopCrawler"
    assert 600 <= glue.seconds < 700


def test_a_busy_service_does_not_end_the_waiting() -> None:
    glue = FakeGlue(crawl=two_columns, run_polls=4)
    started = glue.StartCrawler

    def start_and_fail(words: dict[str, Any]) -> dict[str, Any]:
        glue.failures = ["ThrottlingException", "InternalServiceException"]
        return started(words)

    glue.StartCrawler = start_and_fail  # type: ignore[method-assign]
    assert glue.run().tables


def test_only_what_glue_can_reach_is_crawled() -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        crawl_by_glue(["postgresql://host/db"], account="flights", glue=FakeGlue().client())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("string", "varchar"),
        ("char(3)", "varchar(3)"),
        ("float", "real"),
        ("tinyint", "smallint"),
        ("decimal", "decimal(10,0)"),
        ("map<string,float>", "map<varchar,real>"),
        ("struct<a:binary,b:array<timestamp>>", "struct<a:varchar,b:array<timestamp>>"),
        ("uniontype<int,string>", "None"),
    ],
)
def test_glue_types_are_read(text: str, expected: str) -> None:
    assert str(glue_type(text)) == expected
