"""Nested records as a table and tables of their own: published together, restored together, told in the UI."""

import json
from datetime import timedelta
from functools import cache
from hashlib import sha256
from typing import Any

import dagster as dg
import pytest

from datalake_assets.accounts.sessions import session
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.history import list_versions
from datalake_assets.components.lake_pipeline import build_pipeline, build_pipeline_definitions
from datalake_assets.components.pipelines import DeclaredPipeline
from datalake_assets.components.upkeep.following import mend_all
from datalake_assets.components.upkeep.vacuuming import vacuum_pipeline
from datalake_assets.components.words.pipeline_spec import PipelineSpec
from datalake_assets.errors import ManifestMismatch, Unavailable
from datalake_assets.ingest import torn
from datalake_assets.ingest.behind import shown_children
from datalake_assets.ingest.outcomes import Published
from datalake_assets.ingest.restore import restore
from datalake_assets.ingest.tables import PipelineTables
from tests.integration.runs import Run
from tests.integration.user import Platform

SPEC: dict[str, Any] = {
    "name": "notes",
    "owner": "team:tests",
    "source": {"s3": "notes/dt={partition}/*.json", "format": "json"},
    "partitions": {"daily": "2013-01-01"},
    "columns": [
        {"from": "id", "to": "note_id", "type": "bigint", "required": True},
        {"from": "author.name", "to": "author", "type": "varchar"},
        {"from": "tags", "to": "tags", "type": "array<varchar>"},
    ],
    "children": [
        {
            "table": "notes_replies",
            "from": "replies",
            "key": ["note_id"],
            "columns": [{"from": "stars", "to": "stars", "type": "int"}],
            "children": [
                {
                    "table": "notes_replies_votes",
                    "from": "votes",
                    "columns": [{"from": "_value", "to": "vote", "type": "int"}],
                }
            ],
        }
    ],
    "deduplicate": {"by": ["note_id"]},
    "bad_rows": {"fail_above": "50%"},
}
TABLES = ("notes", "notes_replies", "notes_replies_votes")


@cache
def spec() -> PipelineSpec:
    return PipelineSpec.model_validate(SPEC)


def put(platform: Platform, day: str, *records: dict[str, Any]) -> None:
    platform.put(f"notes/dt={day}/notes.json", "".join(json.dumps(record) + "\n" for record in records))


def note(number: int, *stars: Any) -> dict[str, Any]:
    replies = [{"stars": each, "votes": [1, 2]} for each in stars]
    return {"id": number, "author": {"name": "Ann"}, "tags": ["a"], "replies": replies}


def run(platform: Platform, day: str) -> Run:
    job = build_pipeline_definitions("flights", spec()).resolve_job_def("notes")
    result = job.execute_in_process(instance=platform.instance, partition_key=day, raise_on_error=False)
    return Run(result)


def key(table: str) -> dg.AssetKey:
    return dg.AssetKey(["flights", "lake", table])


def stars(platform: Platform, day: str) -> list[tuple[int, int, int]]:
    found = platform.lake("notes_replies", [day])
    return sorted(zip(*(map(int, found[name]) for name in ("note_id", "_position", "stars")), strict=True))


def published(day: str) -> list[str]:
    found = [GlueTable(session("flights"), table).current(day) for table in TABLES]
    return [each.version_id for each in found if each]


def test_children_are_published_with_their_parent_under_one_version(platform: Platform) -> None:
    day = platform.own_day()
    put(platform, day, note(1, 5, 4), note(2), note(3, 5, "many"), note(1, 3))

    result = run(platform, day)

    assert result.success, result.failure
    assert [len(platform.lake(table, [day])) for table in TABLES] == [2, 1, 2]
    assert stars(platform, day) == [(1, 0, 3)], "the later of two equal notes stays, with its own replies"
    assert len(set(published(day))) == 1
    (row,) = platform.lake("notes_quarantine", [day]).to_dict("records")
    assert row["_reason"] == "replies[1].stars 'many' is not a valid int"

    told = result.materialized(key("notes"))[day].metadata
    counts = {name: told[name].value for name in ("rows_in", "dagster/row_count", "rows_quarantined", "rows_duplicate")}
    assert counts == {"rows_in": 4, "dagster/row_count": 2, "rows_quarantined": 1, "rows_duplicate": 1}
    child = result.materialized(key("notes_replies"))[day].metadata
    assert child["dagster/row_count"].value == 1
    lineage: Any = child["dagster/column_lineage"].value
    assert lineage.deps_by_column["note_id"][0].asset_key == key("notes")
    assert lineage.deps_by_column["stars"][0].column_name == "replies"
    votes: Any = result.materialized(key("notes_replies_votes"))[day].metadata["dagster/column_lineage"].value
    assert votes.deps_by_column["notes_replies_position"][0].column_name == "_position"


def test_a_child_that_cannot_be_published_keeps_its_parent_from_readers(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = platform.own_day()
    put(platform, day, note(1, 5))
    with monkeypatch.context() as patch:
        original = GlueTable.switch_locations

        def fail(self: GlueTable, *args: Any, **options: Any) -> Any:
            if self.name == "notes_replies_votes":
                raise Unavailable("Glue does not answer")
            return original(self, *args, **options)

        patch.setattr(GlueTable, "switch_locations", fail)
        failed = run(platform, day)
    assert not failed.success
    assert platform.glue_location("notes", day) == ""
    assert failed.materialized(key("notes")) == {}

    assert run(platform, day).success
    assert len(set(published(day))) == 1


def test_an_older_version_comes_back_with_its_children(platform: Platform) -> None:
    day = platform.own_day()
    pipeline = build_pipeline("flights", spec())
    for number in (1, 2):
        put(platform, day, note(1, number))
        assert run(platform, day).success
    assert stars(platform, day) == [(1, 0, 2)]

    (outcome,) = restore(pipeline, day, to=None, reason="the later one was wrong", run_id="rollback-1")

    assert isinstance(outcome, Published), outcome
    assert [child.table for child in outcome.children] == list(TABLES[1:])
    assert stars(platform, day) == [(1, 0, 1)]
    assert published(day) == [outcome.version] * 3
    tables = PipelineTables(pipeline, session("flights"), "test")
    assert [child.rows for child in tables.published_children(day, outcome.version)] == [1, 2]

    declared = DeclaredPipeline("flights", spec())
    vacuumed = {result.table for result in vacuum_pipeline(declared, keep_versions=1, dry_run=True)}
    assert len(vacuumed) == 4
    assert len(list_versions(GlueTable(session("flights"), "notes_replies"), day)) == 3


def test_records_follow_the_children_that_a_run_left_newer(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    day = platform.own_day()
    put(platform, day, note(1, 5))
    assert run(platform, day).success
    put(platform, day, note(1, 4), note(2, 3))
    with monkeypatch.context() as patch:

        def fail(*_: Any) -> Any:
            raise ManifestMismatch("the run ends here")

        patch.setattr(PipelineTables, "publish_lake", fail)
        assert not run(platform, day).success
    assert len(set(published(day))) == 2
    declared = DeclaredPipeline("flights", spec())
    assert day not in torn.torn(declared.pipeline), "a run may be at work there"

    monkeypatch.setattr(torn, "REST_FOLLOWS_WITHIN", timedelta(0))
    told: list[dg.AssetMaterialization] = []
    assert day in mend_all(declared, run_id="mend-1", report=told.append)
    assert [event.asset_key for event in told if event.partition == day] == [
        key(name) for name in (*TABLES[1:], "notes")
    ]
    assert len(set(published(day))) == 1
    assert len(platform.lake("notes", [day])) == 2
    assert mend_all(declared, run_id="mend-2", report=told.append) == ""
    assert [each.table for each in shown_children(declared.pipeline)] == list(TABLES[1:])


def test_a_salt_comes_from_the_secrets_of_the_account(platform: Platform) -> None:
    client = session("flights").client("secretsmanager")
    client.create_secret(Name="tests/pepper", SecretString=json.dumps({"salt": "pepper"}))
    words = {key: SPEC[key] for key in ("owner", "partitions")} | {
        "name": "visitors",
        "source": {"s3": "visitors/dt={partition}/*.csv"},
        "columns": [
            {"from": "email", "to": "visitor", "type": "varchar", "mask": "hash", "salt_secret": "tests/pepper"}
        ],
    }
    day = platform.own_day()
    platform.put(f"visitors/dt={day}/visitors.csv", "email\na@example.com\n")
    job = build_pipeline_definitions("flights", PipelineSpec.model_validate(words)).resolve_job_def("visitors")
    result = Run(job.execute_in_process(instance=platform.instance, partition_key=day, raise_on_error=False))
    assert result.success, result.failure
    assert list(platform.lake("visitors", [day])["visitor"]) == [sha256(b"peppera@example.com").hexdigest()]
