"""The models, built by the real dbt-redshift, against the same questions asked of the raw files."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from datalake_assets.accounts.secrets import warehouse_secret
from datalake_assets.components.dbt.models import MODELS_JOB, build_dbt_definitions
from datalake_assets.errors import AuditFailed, PermanentError, Unavailable
from datalake_assets.warehouse.connection import connect

Rows = list[tuple[Any, ...]]

# Written without looking at the models: buckets as ranges, percentiles and shares by DuckDB's own functions.
DAILY_DELAYS = """
    SELECT make_date(f.year, f.month, f.day), f.carrier, l.name, f.origin, p.name,
        count(*), count(*) FILTER (dep_time IS NULL),
        round(avg(dep_delay), 2), round(quantile_cont(dep_delay, 0.5), 2), round(quantile_cont(dep_delay, 0.9), 2),
        round(avg(CASE WHEN dep_delay IS NOT NULL THEN (dep_delay > 15)::INT END), 4),
        round(avg(arr_delay), 2), round(quantile_cont(arr_delay, 0.5), 2), round(quantile_cont(arr_delay, 0.9), 2),
        round(avg(CASE WHEN arr_delay IS NOT NULL THEN (arr_delay > 15)::INT END), 4)
    FROM flights f LEFT JOIN airlines l ON l.carrier = f.carrier LEFT JOIN airports p ON p.faa = f.origin
    GROUP BY ALL ORDER BY 1, 2, 4"""
BY_VISIBILITY = """
    WITH joined AS (
        SELECT f.*, visib, wind_speed, precip FROM flights f LEFT JOIN weather w
        ON w.origin = f.origin AND w.year = f.year AND w.month = f.month AND w.day = f.day AND w.hour = f.hour),
    fair AS (
        SELECT avg(dep_delay) AS delay FROM joined WHERE visib >= 10 AND wind_speed < 15 AND precip = 0)
    SELECT CASE WHEN visib IS NULL THEN 0 WHEN visib < 1 THEN 1 WHEN visib < 3 THEN 2 WHEN visib < 10 THEN 3 ELSE 4 END,
        count(*), count(*) FILTER (dep_time IS NULL), round(avg(dep_delay), 2),
        round(avg(dep_delay) - (SELECT delay FROM fair), 2)
    FROM joined GROUP BY ALL ORDER BY 1"""


@pytest.fixture(scope="module")
def definitions(dbt_project: Path) -> dg.Definitions:
    return build_dbt_definitions("analytics", dbt_project)


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture(scope="module")
def built(lake: None, definitions: dg.Definitions, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return definitions.resolve_job_def(MODELS_JOB).execute_in_process(instance=instance)


def ask(sql: str) -> Rows:
    with connect(warehouse_secret("analytics")) as warehouse:
        return warehouse.execute(sql).rows


def assert_same(found: Sequence[Sequence[Any]], expected: Sequence[Sequence[Any]]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for value, wanted in zip(one, other, strict=True):
            if isinstance(value, Decimal | float):
                assert float(value) == pytest.approx(float(wanted), abs=0.0101), (one, other)
            else:
                assert value == wanted, (one, other)


def test_every_model_is_built_and_every_test_passes(
    built: dg.ExecuteInProcessResult, definitions: dg.Definitions
) -> None:
    graph = definitions.resolve_asset_graph()
    assert built.success
    assert {event.asset_key for event in built.get_asset_materialization_events()} == set(graph.executable_asset_keys)
    checks = built.get_asset_check_evaluations()
    assert {check.asset_check_key for check in checks} == set(graph.asset_check_keys)
    assert [check.check_name for check in checks if not check.passed] == []


def test_staging_has_every_row_of_the_raw_files(
    built: dg.ExecuteInProcessResult, raw: duckdb.DuckDBPyConnection
) -> None:
    for name in ("flights", "weather", "airlines", "airports", "planes"):
        assert ask(f"SELECT count(*) FROM staging.stg_{name}") == raw.execute(f"SELECT count(*) FROM {name}").fetchall()


def test_daily_delays_agree_with_the_raw_files(
    built: dg.ExecuteInProcessResult, raw: duckdb.DuckDBPyConnection
) -> None:
    found = ask("SELECT * FROM marts.daily_delays ORDER BY flight_date, carrier_code, origin_airport_code")

    assert_same(found, raw.execute(DAILY_DELAYS).fetchall())


def test_delays_by_visibility_agree_with_the_raw_files(
    built: dg.ExecuteInProcessResult, raw: duckdb.DuckDBPyConnection
) -> None:
    found = ask(
        "SELECT CASE weather_bucket WHEN 'unknown' THEN 0 ELSE cast(left(weather_bucket, 1) AS integer) END,"
        " flights, cancelled_flights, avg_departure_delay_minutes, departure_delay_above_fair_minutes"
        " FROM marts.weather_delays WHERE weather_factor = 'visibility' ORDER BY 1"
    )

    # The raw files carry the local hour too: the join here goes by that, the model's by UTC.
    assert_same(found, raw.execute(BY_VISIBILITY).fetchall())


def test_every_flight_counts_once_for_each_factor(
    built: dg.ExecuteInProcessResult, raw: duckdb.DuckDBPyConnection
) -> None:
    found = ask("SELECT weather_factor, sum(flights) FROM marts.weather_delays GROUP BY 1")

    [(flights,)] = raw.execute("SELECT count(*) FROM flights").fetchall()
    assert {factor: int(count) for factor, count in found} == dict.fromkeys(
        ["overall", "visibility", "wind", "precipitation", "temperature"], flights
    )


def test_cities_are_ranked_by_the_searches_for_each_listing(built: dg.ExecuteInProcessResult) -> None:
    found = ask(
        "SELECT extract(day FROM search_date), city, demand_rank, share_of_searches"
        " FROM marts.daily_searches_per_listing ORDER BY 1, demand_rank"
    )

    shares = {(1, "Leipzig"): 320 / 1060, (1, "Berlin"): 640 / 1060, (1, "Köln"): 100 / 1060}
    shares |= {(2, "Berlin"): 720 / 820, (2, "Köln"): 100 / 820, (2, "Leipzig"): 0.0}
    assert [(int(day), city) for day, city, _, _ in found] == list(shares)
    assert [rank for _, _, rank, _ in found] == [1, 2, 3, 1, 2, 3]
    assert [float(share) for *_, share in found] == pytest.approx(list(shares.values()), abs=0.0001)


def metadata_of(result: dg.ExecuteInProcessResult, *key: str) -> dict[str, Any]:
    [event] = [each for each in result.get_asset_materialization_events() if each.asset_key == dg.AssetKey(key)]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_a_mart_tells_its_rows_and_where_its_columns_come_from(built: dg.ExecuteInProcessResult) -> None:
    metadata = metadata_of(built, "analytics", "marts", "daily_delays")

    assert metadata["dagster/row_count"] == ask("SELECT count(*) FROM marts.daily_delays")[0][0]
    lineage: dg.TableColumnLineage = metadata["dagster/column_lineage"]
    assert lineage.deps_by_column["carrier_name"] == [
        dg.TableColumnDep(asset_key=dg.AssetKey(["analytics", "staging", "stg_airlines"]), column_name="carrier_name")
    ]
    assert {dep.column_name for dep in lineage.deps_by_column["share_departed_late"]} == {"departure_delay_minutes"}


def test_a_staging_column_comes_from_the_warehouse_table(built: dg.ExecuteInProcessResult) -> None:
    lineage: dg.TableColumnLineage = metadata_of(built, "analytics", "staging", "stg_flights")["dagster/column_lineage"]

    assert lineage.deps_by_column["flight_date"] == [
        dg.TableColumnDep(asset_key=dg.AssetKey(["flights", "warehouse", "flights"]), column_name="dt")
    ]


def test_a_broken_row_fails_its_check_and_only_the_chosen_model_was_built(
    built: dg.ExecuteInProcessResult, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    chosen = [dg.AssetKey(["analytics", "staging", "stg_planes"])]
    with connect(warehouse_secret("analytics")) as warehouse:
        warehouse.execute("INSERT INTO lake.planes (tail_number) SELECT max(tail_number) FROM lake.planes")
        try:
            result = definitions.resolve_job_def(MODELS_JOB).execute_in_process(
                instance=instance, asset_selection=chosen, raise_on_error=False
            )
        finally:
            warehouse.execute("DELETE FROM lake.planes WHERE manufacturer IS NULL")

    assert not result.success
    assert [event.asset_key for event in result.get_asset_materialization_events()] == chosen
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert checks == {"not_null_stg_planes_tail_number": True, "unique_stg_planes_tail_number": False}
    error = result.failure_data_for_node("analytics_dbt")
    assert error is not None
    assert error.error is not None
    assert error.error.cause is not None
    assert error.error.cause.cls_name == AuditFailed.__name__
    assert "unique_stg_planes_tail_number: Got 1 result" in error.error.cause.message


def test_a_missing_table_is_named(
    built: dg.ExecuteInProcessResult, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    with connect(warehouse_secret("analytics")) as warehouse:
        warehouse.execute("ALTER TABLE lake.airlines RENAME TO airlines_hidden")
        try:
            with pytest.raises(PermanentError, match=r"stg_airlines: .*airlines"):
                definitions.resolve_job_def(MODELS_JOB).execute_in_process(
                    instance=instance, asset_selection=[dg.AssetKey(["analytics", "staging", "stg_airlines"])]
                )
        finally:
            warehouse.execute("ALTER TABLE lake.airlines_hidden RENAME TO airlines")


def test_a_stopped_warehouse_is_told_from_a_broken_model(
    lake: None, definitions: dg.Definitions, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datalake_assets.components.dbt import run as dbt_run

    nowhere = warehouse_secret("analytics").model_copy(update={"port": 1})
    monkeypatch.setattr(dbt_run, "warehouse_secret", lambda _location: nowhere)

    with pytest.raises(Unavailable):
        definitions.resolve_job_def(MODELS_JOB).execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey(["analytics", "staging", "stg_airlines"])]
        )
