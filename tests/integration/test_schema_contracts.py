"""Raw records that bring fields nobody declared: the catalog gains a column, or nothing is published at all."""

import pytest
from pydantic import ValidationError

from datalake_assets.accounts.sessions import session
from datalake_assets.components.lake_pipeline import build_pipeline_definitions
from datalake_assets.components.words.pipeline_spec import PipelineSpec
from tests.integration.runs import Run
from tests.integration.user import Platform


def _spec(table: str, mode: str, **words: object) -> PipelineSpec:
    return PipelineSpec.model_validate(
        {
            "name": table,
            "owner": "team:tests",
            "source": {"s3": f"{table}/dt={{partition}}/*.json", "format": "json"},
            "partitions": {"daily": "2013-01-01"},
            "columns": [{"from": "id", "to": "id", "type": "int", "required": True}],
            "on_schema_change": mode,
            **words,
        }
    )


def _run(platform: Platform, table: str, mode: str, day: str) -> Run:
    spec = _spec(table, mode)
    job = build_pipeline_definitions("flights", spec).resolve_job_def(table)
    return Run(job.execute_in_process(instance=platform.instance, partition_key=day, raise_on_error=False))


def _columns(platform: Platform, table: str) -> list[tuple[str, str]]:
    glue = session("flights").client("glue")
    columns = glue.get_table(DatabaseName="flights_lake", Name=table)["Table"]["StorageDescriptor"]["Columns"]
    return [(column["Name"], column["Type"]) for column in columns]


def test_a_new_field_becomes_a_column_that_stays(platform: Platform) -> None:
    first, second = platform.days(2)
    platform.put(f"evolving/dt={first}/a.json", '{"id": 1}')
    platform.put(f"evolving/dt={second}/a.json", '{"id": 2, "Price in EUR": 1.10, "tags": ["a"]}')
    assert _run(platform, "evolving", "evolve", first).success
    declared = [("id", "int"), ("_rescued_data", "string"), ("_source_file", "string"), ("_source_row", "bigint")]
    assert _columns(platform, "evolving") == declared
    run = _run(platform, "evolving", "evolve", second)
    assert run.success
    evolved = [*declared, ("price_in_eur", "string"), ("tags", "string")]
    assert _columns(platform, "evolving") == evolved
    rows = platform.lake("evolving", [second])
    assert (list(rows["price_in_eur"]), list(rows["tags"])) == (["1.10"], ['["a"]'])

    # A later file without the fields changes neither the catalog nor the other partition.
    assert _run(platform, "evolving", "evolve", first).success
    assert _columns(platform, "evolving") == evolved
    assert list(platform.lake("evolving", [second])["price_in_eur"]) == ["1.10"]
    assert list(platform.lake("evolving", [first])["id"]) == [1]


def test_a_frozen_contract_fails_before_anything_is_published(platform: Platform) -> None:
    (day,) = platform.days(1)
    platform.put(f"frozen/dt={day}/a.json", '{"id": 1}')
    assert _run(platform, "frozen", "freeze", day).success
    before = platform.glue_location("frozen", day)
    platform.put(f"frozen/dt={day}/b.json", '{"id": 2, "new": "x"}')
    run = _run(platform, "frozen", "freeze", day)
    assert not run.success
    assert "SchemaChanged" in run.traceback
    assert "+ 'new' (for example 'x', first in s3://" in run.traceback
    assert platform.glue_location("frozen", day) == before


def test_columns_do_not_evolve_into_a_warehouse() -> None:
    with pytest.raises(ValidationError, match="COPY of Parquet goes by place"):
        _spec("evolving", "evolve", warehouse={"table": "lake.evolving"})
