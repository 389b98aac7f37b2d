"""A declared crawl is materialized: tables are registered, changes are told, errors are those of its tables."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from datalake_assets.accounts.sessions import session
from datalake_assets.components.crawl_asset import build_crawl_definitions, crawl_key
from datalake_assets.components.words.crawl_spec import CrawlSpec
from tests.integration.user import Platform

pytestmark = pytest.mark.slow


def materialize(platform: Platform, spec: CrawlSpec, folder: Path) -> dict[str, Any]:
    """Run the crawl's job; return the metadata of its asset."""
    job = build_crawl_definitions("flights", spec, folder=folder).resolve_job_def(spec.name)
    result = job.execute_in_process(instance=platform.instance, raise_on_error=False)
    assert result.success, [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    (event,) = result.get_asset_materialization_events()
    assert event.asset_key == crawl_key("flights", spec.name)
    return {key: value.value for key, value in event.materialization.metadata.items()}


def declared(platform: Platform, prefix: str, **words: Any) -> CrawlSpec:
    uri = f"s3://{platform.account.raw_bucket}/{prefix}/"
    return CrawlSpec.model_validate({"name": prefix, "owner": "team:tests", "uris": uri} | words)


def columns(table: str) -> dict[str, str]:
    """Columns of a table in the account's catalog."""
    glue = session("flights").client("glue")
    found = glue.get_table(DatabaseName="flights_lake", Name=table)["Table"]["StorageDescriptor"]["Columns"]
    return {column["Name"]: column.get("Type", "") for column in found}


def test_a_crawl_registers_what_it_finds_and_the_next_one_tells_what_changed(
    platform: Platform, tmp_path: Path
) -> None:
    spec = declared(platform, "crawled_shop")
    text = "id,price\n" + "".join(f"{n},{n}.50\n" for n in range(30))
    platform.put("crawled_shop/orders/1.csv", text)
    first = materialize(platform, spec, tmp_path)
    assert (first["tables"], first["columns"], first["listed_files"]) == (1, 2, 1)
    assert "first crawl" in first["changed"]
    (table,) = [line.split("|")[1].strip() for line in first["found"].splitlines() if "crawled_shop/orders" in line]
    assert list(columns(f"raw_{table}")) == ["id", "price"]
    again = materialize(platform, spec, tmp_path)
    assert "Nothing changed" in again["changed"]
    platform.put("crawled_shop/orders/2.csv", "id,price,city\n" + "".join(f"{n},{n}.50,Rome\n" for n in range(30)))
    third = materialize(platform, spec, tmp_path)
    assert "city" in third["changed"]
    assert "city" in columns(f"raw_{table}")


def test_a_crawl_that_only_reports_registers_nothing(platform: Platform, tmp_path: Path) -> None:
    platform.put("crawled_quietly/1.csv", "id,name\n" + "".join(f"{n},a\n" for n in range(30)))
    spec = declared(platform, "crawled_quietly", register=False)
    assert materialize(platform, spec, tmp_path)["tables"] == 1
    glue = session("flights").client("glue")
    names = [table["Name"] for page in glue.get_paginator("get_tables").paginate(DatabaseName="flights_lake")
             for table in page["TableList"]]  # fmt: skip
    assert not [name for name in names if "crawled_quietly" in name]


def test_own_classifiers_lie_beside_the_declaration(platform: Platform, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "classifiers:\n  - {name: disks, grok: '%{NOTSPACE:day} %{WORD:disk} %{INT:percent}'}\n", encoding="utf-8"
    )
    platform.put("crawled_disks/a.log", "".join(f"2026-01-{n:02} disk{n} {n}\n" for n in range(1, 29)))
    spec = declared(platform, "crawled_disks", register=False, classifiers="own.yaml")
    assert "`disk`" in materialize(platform, spec, tmp_path)["found"]


def test_a_crawl_of_nothing_fails_with_its_reason(platform: Platform, tmp_path: Path) -> None:
    spec = CrawlSpec.model_validate(
        {"name": "crawled_nowhere", "owner": "team:tests", "uris": "s3://no-such-bucket-anywhere/"}
    )
    job = build_crawl_definitions("flights", spec, folder=tmp_path).resolve_job_def(spec.name)
    result = job.execute_in_process(instance=platform.instance, raise_on_error=False)
    assert not result.success
    (failed,) = [event for event in result.all_events if event.event_type is dg.DagsterEventType.STEP_FAILURE]
    assert "no-such-bucket-anywhere" in str(failed.step_failure_data.error)
