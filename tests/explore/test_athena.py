"""Queries with Athena: against a service with a memory that botocore's model checks, and against moto's."""

import json
import urllib.request
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

import datalake_assets
from datalake_assets.accounts.sessions import session
from datalake_assets.errors import ConfigurationError, InvalidQuery, Unavailable
from datalake_assets.explore import athena
from tests.explore.athena_service import AthenaService
from tests.explore.conftest import PublishedLake

COLUMNS = {
    "n": "bigint",
    "price": "decimal(12,2)",
    "name": "varchar",
    "day": "date",
    "at": "timestamp",
    "ok": "boolean",
    "tags": "array",
}
ROW: list[str | None] = ["7", "0.07", 'a "b",\nc', "2013-01-08", "2013-01-01 10:00:00.123", "true", "[a, b]"]
EMPTY: list[str | None] = ["8", None, "", None, None, None, None]
TYPED = (7, Decimal("0.07"), 'a "b",\nc', date(2013, 1, 8), datetime(2013, 1, 1, 10, 0, 0, 123000), True, "[a, b]")


@pytest.fixture
def service(published_lake: PublishedLake, monkeypatch: pytest.MonkeyPatch) -> AthenaService:
    made = AthenaService(COLUMNS, [ROW, EMPTY])
    monkeypatch.setitem(session("flights")._clients, ("athena", "eu-central-1", False), made.client())
    monkeypatch.setattr(athena, "FIRST_WAIT_SECONDS", 0.001)
    return made


def query(sql: str = "SELECT * FROM weather", **options: Any) -> Any:
    return datalake_assets.query(sql, engine="athena", account="flights", **options)


def test_a_short_result_comes_typed_with_nulls_and_empty_texts_told_apart(service: AthenaService) -> None:
    with query(workgroup="analysts", results="s3://somewhere/else/") as result:
        assert list(result) == [TYPED, (8, None, "", None, None, None, None)]
    (execution,) = service.executions.values()
    assert execution.request["QueryExecutionContext"] == {"Database": "flights_lake"}
    assert execution.request["WorkGroup"] == "analysts"
    assert execution.request["ResultConfiguration"] == {"OutputLocation": "s3://somewhere/else/"}


def test_a_long_result_is_read_from_the_file_that_athena_wrote(
    service: AthenaService, published_lake: PublishedLake
) -> None:
    service.rows = [ROW, EMPTY] * 5_000
    with query() as result:
        (number,) = service.executions
        published_lake.session.client("s3").put_object(
            Bucket="datalake-flights-lake", Key=f"athena/{number}.csv", Body=service.as_csv()
        )
        found = list(result)
    assert len(found) == 10_000
    assert found[-2:] == [TYPED, (8, None, "", None, None, None, None)]


def test_the_answer_of_a_statement_without_a_csv_is_read_page_by_page(service: AthenaService) -> None:
    service.kind, service.columns, service.output = "DDL", {"tab_name": "string"}, "s3://x/y"
    service.rows = [[f"table_{n}"] for n in range(2_500)]
    monkey = service._GetQueryExecution

    def as_text(asked: dict[str, Any]) -> dict[str, Any]:
        answer = monkey(asked)
        answer["QueryExecution"]["ResultConfiguration"]["OutputLocation"] = "s3://x/y.txt"
        return answer

    service._GetQueryExecution = as_text  # type: ignore[method-assign]
    with query("SHOW TABLES") as result:
        assert [row[0] for row in result] == [f"table_{n}" for n in range(2_500)]


def test_bytes_scanned_and_the_cost_are_told(service: AthenaService) -> None:
    with query() as result:
        told = result.explain
    assert told.bytes_scanned == 123_000_000
    assert told.cost_usd == pytest.approx(0.000615)
    assert told.seconds == 1.5
    assert told.query_id in service.executions


def test_an_interrupt_stops_the_query_in_athena_too(service: AthenaService) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    service.on_look = interrupt
    with pytest.raises(KeyboardInterrupt):
        query()
    (execution,) = service.executions.values()
    assert execution.is_stopped


def test_a_failed_query_says_what_athena_says(service: AthenaService) -> None:
    service.outcome = "FAILED"
    with pytest.raises(InvalidQuery, match="COLUMN_NOT_FOUND"):
        query()
    service.is_retryable = True
    with pytest.raises(Unavailable, match="COLUMN_NOT_FOUND"):
        query()


def test_a_workgroup_without_a_place_for_results_asks_for_one(service: AthenaService) -> None:
    service.refuses = "No output location provided. An output location is required"
    with pytest.raises(InvalidQuery, match="--results"):
        query()
    with pytest.raises(ConfigurationError, match="s3://bucket"):
        query(results="/tmp/here")


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("sql", ["DROP TABLE x", "UNLOAD (SELECT 1) TO 's3://x'", "SELECT 1; SELECT 2", ""])
def test_only_what_reads_is_sent(sql: str) -> None:
    with pytest.raises(InvalidQuery):
        query(sql)


def test_moto_answers_what_was_put_in_its_queue(published_lake: PublishedLake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(athena, "FIRST_WAIT_SECONDS", 0.001)
    column = {"Name": "n", "Type": "bigint"}
    texts = [[{"VarCharValue": "n"}], [{"VarCharValue": "42"}]]
    results = {
        "account_id": "111111111111",
        "region": "eu-central-1",
        "results": [{"rows": [{"Data": row} for row in texts], "column_info": [column]}],
    }
    endpoint = published_lake.session.client("s3").meta.endpoint_url
    request = urllib.request.Request(
        f"{endpoint}/moto-api/static/athena/query-results",
        data=json.dumps(results).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request):
        pass
    with query("SELECT count(*) AS n FROM weather", results="s3://datalake-flights-lake/athena/") as result:
        assert list(result) == [(42,)]
