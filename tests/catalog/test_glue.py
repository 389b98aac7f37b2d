import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import awswrangler as wr
import pytest

from datalake_assets.accounts.sessions import AccountSession
from datalake_assets.catalog import deadline, partitions
from datalake_assets.catalog.glue import GlueTable
from datalake_assets.catalog.manifest import Manifest
from datalake_assets.catalog.schema import CatalogColumn, TableSchema
from datalake_assets.errors import ConcurrentChange, ConfigurationError, Throttled
from tests.catalog.conftest import ACCOUNT, AIRLINES, FLIGHTS, Lake, Row
from tests.catalog.doubles import SessionWithLockingGlue

ROWS: list[Row] = [{"carrier": "AA", "delay": 5}]


def with_column(name: str, glue_type: str = "string") -> TableSchema:
    return replace(FLIGHTS, columns=(*FLIGHTS.columns, CatalogColumn(name, glue_type)))


def column_names(table: GlueTable) -> list[str]:
    described = table.session.client("glue").get_table(DatabaseName=table.database, Name=table.name)["Table"]
    return [column["Name"] for column in described["StorageDescriptor"]["Columns"]]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "FIRST_WAIT_SECONDS", 0.001)
    monkeypatch.setattr(partitions, "LONGEST_WAIT_SECONDS", 0.01)


@pytest.fixture
def locking(session: AccountSession) -> SessionWithLockingGlue:
    return SessionWithLockingGlue(session.account)


def test_the_table_says_what_the_pipeline_declared(flights: GlueTable) -> None:
    boto = flights.session._session()
    assert wr.catalog.get_table_types("flights_lake", "flights", boto3_session=boto) == {
        "carrier": "string",
        "delay": "bigint",
        "dt": "date",
    }
    assert wr.catalog.get_table_description("flights_lake", "flights", boto3_session=boto) == FLIGHTS.description
    assert wr.catalog.get_columns_comments("flights_lake", "flights", boto3_session=boto) == {
        "carrier": "the airline's code",
        "delay": "minutes",
        "dt": "day of departure",
    }
    assert wr.catalog.get_table_location("flights_lake", "flights", boto3_session=boto) == "s3://test-lake/flights/"
    parameters = wr.catalog.get_table_parameters("flights_lake", "flights", boto3_session=boto)
    assert parameters["classification"] == "parquet"
    assert parameters["datalake_pipeline"] == "flights"


def test_ensuring_the_same_schema_again_writes_nothing(locking: SessionWithLockingGlue) -> None:
    table = GlueTable(locking, "flights")
    table.ensure(FLIGHTS)
    table.ensure(with_column("origin"))
    locking.glue.calls.clear()
    assert table.ensure(with_column("origin")) == with_column("origin").columns
    assert locking.glue.calls == ["get_table"]


def test_a_new_column_goes_to_the_end_wherever_it_was_declared(flights: GlueTable) -> None:
    declared = replace(FLIGHTS, columns=(CatalogColumn("origin", "string"), *FLIGHTS.columns))
    merged = flights.ensure(declared)
    assert [column.name for column in merged] == ["carrier", "delay", "origin"] == column_names(flights)


def test_a_column_that_is_no_longer_declared_stays_for_old_partitions(flights: GlueTable) -> None:
    flights.ensure(replace(FLIGHTS, columns=FLIGHTS.columns[:1]))
    assert column_names(flights) == ["carrier", "delay"]


def test_a_changed_type_is_refused_and_both_types_are_told(flights: GlueTable) -> None:
    changed = replace(FLIGHTS, columns=(FLIGHTS.columns[0], CatalogColumn("delay", "double")))
    with pytest.raises(ConfigurationError, match="delay is bigint, declared double"):
        flights.ensure(changed)


def test_a_type_in_another_spelling_is_the_same_type(session: AccountSession) -> None:
    table = GlueTable(session, "prices")
    table.ensure(TableSchema(columns=(CatalogColumn("price", "decimal(12,2)"),)))
    table.ensure(TableSchema(columns=(CatalogColumn("price", "DECIMAL(12, 2)"),)))


def test_changed_partition_keys_are_refused(flights: GlueTable) -> None:
    with pytest.raises(ConfigurationError, match="they are dt date, declared none"):
        flights.ensure(AIRLINES)


def test_what_others_set_on_the_table_survives_a_schema_change(flights: GlueTable) -> None:
    boto = flights.session._session()
    wr.catalog.upsert_table_parameters({"owner_note": "hello"}, "flights_lake", "flights", boto3_session=boto)
    flights.ensure(with_column("origin"))
    assert wr.catalog.get_table_parameters("flights_lake", "flights", boto3_session=boto)["owner_note"] == "hello"


def test_columns_that_two_runs_add_at_once_both_stay(locking: SessionWithLockingGlue) -> None:
    table = GlueTable(locking, "flights")
    table.ensure(FLIGHTS)
    other = GlueTable(AccountSession(ACCOUNT), "flights")
    locking.glue.before["update_table"] = lambda: other.ensure(with_column("origin"))

    table.ensure(with_column("dest"))

    assert column_names(table) == ["carrier", "delay", "origin", "dest"]


def test_columns_that_many_runs_add_between_publications_all_stay(
    locking: SessionWithLockingGlue, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datalake_assets.catalog.glue.LOCK_ATTEMPTS", 100)
    monkeypatch.setattr("datalake_assets.catalog.glue.LOCK_WAIT_SECONDS", 0.005)
    GlueTable(locking, "flights").ensure(FLIGHTS)
    manifest = lake.manifest(GlueTable(locking, "flights"), "2013-01-01", "v1", ROWS)

    def run(number: int) -> None:
        table = GlueTable(SessionWithLockingGlue(ACCOUNT, locking.glue), "flights")
        for column in range(3):
            table.ensure(with_column(f"c{number}_{column}"))
            day = replace(manifest, version=replace(manifest.version, partition=f"2013-{number}-{column}"))
            assert table.switch_locations([day])[day.version.partition].error is None

    with ThreadPoolExecutor(max_workers=6) as pool:
        list(pool.map(run, range(6)))

    added = {f"c{number}_{column}" for number in range(6) for column in range(3)}
    names = column_names(GlueTable(locking, "flights"))
    assert names[:2] == ["carrier", "delay"]
    assert sorted(names[2:]) == sorted(added)


def test_a_table_that_two_runs_create_at_once_has_the_columns_of_both(locking: SessionWithLockingGlue) -> None:
    table = GlueTable(locking, "flights")
    other = GlueTable(AccountSession(ACCOUNT), "flights")
    locking.glue.before["create_table"] = lambda: other.ensure(with_column("origin"))

    table.ensure(with_column("dest"))

    assert column_names(table) == ["carrier", "delay", "origin", "dest"]


def test_a_table_that_never_rests_ends_as_a_concurrent_change(
    locking: SessionWithLockingGlue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datalake_assets.catalog.glue.LOCK_ATTEMPTS", 2)
    table = GlueTable(locking, "flights")
    table.ensure(FLIGHTS)
    other = GlueTable(AccountSession(ACCOUNT), "flights")

    def change(number: int) -> None:
        other.ensure(with_column(f"c{number}"))
        locking.glue.before["update_table"] = lambda: change(number + 1)

    locking.glue.before["update_table"] = lambda: change(0)
    with pytest.raises(ConcurrentChange):
        table.ensure(with_column("dest"))


def test_a_missing_database_is_told_apart_from_a_missing_table(session: AccountSession) -> None:
    table = GlueTable(session, "flights")
    table.database = "no_such_database"
    with pytest.raises(ConfigurationError, match="no_such_database"):
        table.ensure(FLIGHTS)


def test_a_table_that_was_never_published_says_so(session: AccountSession) -> None:
    with pytest.raises(ConfigurationError, match=r"flights_lake\.flights: it does not exist"):
        GlueTable(session, "flights").current("2013-01-01")


def test_partitions_are_written_a_hundred_a_call(locking: SessionWithLockingGlue, lake: Lake) -> None:
    table = GlueTable(locking, "flights", threads=2)
    table.ensure(FLIGHTS)
    one = lake.manifest(table, "2013-01-01", "v1", ROWS)
    many = [replace(one, version=replace(one.version, partition=f"2013-{number}")) for number in range(250)]

    switches = table.switch_locations(many)

    assert len(switches) == 250
    assert all(switch.is_switched for switch in switches.values())
    assert locking.glue.calls.count("batch_create_partition") == 3
    assert locking.glue.calls.count("batch_update_partition") == 0

    later = [replace(item, version=replace(item.version, id="v2")) for item in many]
    table.switch_locations(later)
    assert locking.glue.calls.count("batch_update_partition") == 3
    assert {published and published.version_id for published in table.current_many(list(switches)).values()} == {"v2"}


def test_a_partition_that_glue_refuses_leaves_its_neighbours_switched(
    locking: SessionWithLockingGlue, lake: Lake
) -> None:
    table = GlueTable(locking, "flights")
    table.ensure(FLIGHTS)
    days = ["2013-01-01", "2013-01-02"]
    table.switch_locations([lake.manifest(table, day, "v1", ROWS) for day in days])
    locking.glue.failing_partitions["2013-01-02"] = "ThrottlingException"

    switches = table.switch_locations([lake.manifest(table, day, "v2", ROWS) for day in days])

    assert switches["2013-01-01"].is_switched
    assert isinstance(switches["2013-01-02"].error, Throttled)
    assert "flights partition 2013-01-02" in str(switches["2013-01-02"].error)
    current = table.current("2013-01-02")
    assert current
    assert current.version_id == "v1"


def test_a_partition_created_by_another_run_meanwhile_is_updated_if_ours_is_newer(
    locking: SessionWithLockingGlue, lake: Lake
) -> None:
    table = GlueTable(locking, "flights")
    table.ensure(FLIGHTS)
    other = GlueTable(AccountSession(ACCOUNT), "flights")
    for mine, theirs, winner in (("v2", "v1", "v2"), ("v1", "v2", "v2")):
        day = f"2013-01-0{mine[1]}"
        others = lake.manifest(other, day, theirs, ROWS)
        locking.glue.before["batch_create_partition"] = lambda others=others: other.switch_locations([others])  # type: ignore[misc]

        switch = table.switch_locations([lake.manifest(table, day, mine, ROWS)])[day]

        assert switch.before
        assert switch.before.version_id == theirs
        current = table.current(day)
        assert current
        assert current.version_id == winner


def many_partitions(table: GlueTable, lake: Lake, count: int) -> list[Manifest]:
    one = lake.manifest(table, "2013-01-01", "v1", ROWS)
    return [replace(one, version=replace(one.version, partition=f"p{number:05d}")) for number in range(count)]


def test_ten_thousand_new_partitions_need_a_hundred_calls_also_when_a_tenth_is_throttled(
    locking: SessionWithLockingGlue, lake: Lake
) -> None:
    table = GlueTable(locking, "flights")
    table.ensure(FLIGHTS)
    throttled = []

    def every_tenth(number: int) -> bool:
        if number % 10 == 0:
            throttled.append(number)
        return number % 10 == 0

    locking.glue.throttled = every_tenth
    switches = table.switch_locations(many_partitions(table, lake, 10_000))

    assert len(switches) == 10_000
    assert all(switch.is_created and switch.error is None for switch in switches.values())
    assert locking.glue.calls.count("batch_create_partition") == 100
    assert locking.glue.calls.count("batch_update_partition") == 0
    assert len(throttled) > 10


def test_partitions_that_glue_is_too_busy_for_are_asked_for_again_and_no_others(
    locking: SessionWithLockingGlue, lake: Lake
) -> None:
    table = GlueTable(locking, "flights")
    table.ensure(FLIGHTS)
    new = many_partitions(table, lake, 5)
    for version in ("v1", "v2"):
        locking.glue.busy_partitions = {"p00001": 3, "p00003": 1}
        wanted = [replace(item, version=replace(item.version, id=version)) for item in new]
        switches = table.switch_locations(wanted)
        assert [switch.error for switch in switches.values()] == [None] * 5
        assert {now and now.version_id for now in table.current_many(list(switches)).values()} == {version}
    assert locking.glue.calls.count("batch_create_partition") == 4
    assert locking.glue.calls.count("batch_update_partition") == 4


def test_a_switch_that_was_decided_on_long_ago_is_not_made(
    locking: SessionWithLockingGlue, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = GlueTable(locking, "flights")
    table.ensure(FLIGHTS)
    table.switch_locations([lake.manifest(table, "2013-01-01", "v1", ROWS)])
    late = lake.manifest(table, "2013-01-01", "v2", ROWS)

    def sleep() -> None:
        now = time.time() + deadline.SWITCH_SECONDS + 1
        monkeypatch.setattr(deadline, "time", SimpleNamespace(time=lambda: now))

    locking.glue.before["batch_update_partition"] = sleep  # suspended right before the request is signed
    switch = table.switch_locations([late])["2013-01-01"]

    assert isinstance(switch.error, ConcurrentChange)
    assert "decided on more than 600 s ago" in str(switch.error)
    current = table.current("2013-01-01")
    assert current
    assert current.version_id == "v1"
