from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date
from threading import Barrier

import pyarrow as pa
import pytest

from datalake_assets.accounts.secrets import WarehouseSecret
from datalake_assets.errors import ConcurrentChange, ConfigurationError, RowCountMismatch, StatementFailed, Unavailable
from datalake_assets.sandbox.redshift.server import Gateway
from datalake_assets.warehouse.connection import WarehouseConnection, connect
from datalake_assets.warehouse.ledger import status
from datalake_assets.warehouse.load import LoadResult, PartitionLoad, load_partition
from datalake_assets.warehouse.table import WarehouseTable
from tests.sandbox.redshift.conftest import Postgres
from tests.warehouse.conftest import ROLE, Published, Row, interrupted, rows_of, secret_of

OLD: list[Row] = [{"carrier": "AA", "delay": 5}, {"carrier": "UA", "delay": None}, {"carrier": "B6", "delay": 1}]
NEW: list[Row] = [{"carrier": "DL", "delay": -2}]
DAY, NEXT_DAY = "2013-01-01", "2013-01-02"


def load(connection: WarehouseConnection, table: WarehouseTable, what: PartitionLoad) -> LoadResult:
    return load_partition(connection, table, what, iam_role=ROLE, run_id="run-1")


def test_a_loaded_partition_has_the_lake_rows_and_its_partition_value(
    connection: WarehouseConnection, flights: WarehouseTable, published: Published
) -> None:
    result = load(connection, flights, published(DAY, "v1", OLD))
    assert result == LoadResult("v1", 3, skipped=False, inserted_rows=3, deleted_rows=0)
    assert rows_of(connection, flights) == [
        ("AA", 5, date(2013, 1, 1)),
        ("B6", 1, date(2013, 1, 1)),
        ("UA", None, date(2013, 1, 1)),
    ]


def test_a_newer_version_replaces_just_its_partition(
    connection: WarehouseConnection, flights: WarehouseTable, published: Published
) -> None:
    load(connection, flights, published(DAY, "v1", OLD))
    load(connection, flights, published(NEXT_DAY, "v1", OLD))
    result = load(connection, flights, published(DAY, "v2", NEW))
    assert (result.inserted_rows, result.deleted_rows) == (1, 3)
    rows = rows_of(connection, flights)
    assert [row for row in rows if row[2] == date(2013, 1, 1)] == [("DL", -2, date(2013, 1, 1))]
    assert len(rows) == 4


def test_repeating_a_load_changes_nothing_and_copies_nothing(
    secret: WarehouseSecret, connection: WarehouseConnection, flights: WarehouseTable, published: Published
) -> None:
    version = published(DAY, "v1", OLD)
    load(connection, flights, version)
    before = rows_of(connection, flights), status(connection, flights)
    with interrupted(secret) as second:
        assert load(second, flights, version) == LoadResult("v1", 3, skipped=True)
        assert not [sql for sql in second.statements if sql.startswith(("COPY", "DELETE", "CREATE"))]
    assert (rows_of(connection, flights), status(connection, flights)) == before


def test_an_older_version_never_replaces_a_newer_one(
    connection: WarehouseConnection, flights: WarehouseTable, published: Published
) -> None:
    older = published(DAY, "v1", OLD)
    load(connection, flights, published(DAY, "v2", NEW))
    assert load(connection, flights, older) == LoadResult("v2", 1, skipped=True)
    assert rows_of(connection, flights) == [("DL", -2, date(2013, 1, 1))]


def test_a_newer_version_that_arrives_while_an_older_one_is_copied_stays(
    secret: WarehouseSecret, connection: WarehouseConnection, flights: WarehouseTable, published: Published
) -> None:
    older, newer = published(DAY, "v1", OLD), published(DAY, "v2", NEW)
    with interrupted(secret) as slow:
        slow.before = lambda _, sql: load(connection, flights, newer) if sql.startswith("COPY") else None
        assert load(slow, flights, older).skipped
    assert rows_of(connection, flights) == [("DL", -2, date(2013, 1, 1))]
    assert status(connection, flights)[DAY].version == "v2"


@pytest.mark.parametrize("versions", [("v1", "v1"), ("v1", "v2"), ("v2", "v1")])
def test_two_loads_of_one_partition_at_once_end_with_the_newer_version_once(
    secret: WarehouseSecret,
    connection: WarehouseConnection,
    flights: WarehouseTable,
    published: Published,
    versions: tuple[str, str],
) -> None:
    rows = {"v1": OLD, "v2": NEW}
    starting = Barrier(2)

    def run(version: str) -> LoadResult:
        what = published(DAY, version, rows[version])
        with interrupted(secret) as own:
            # Both have asked the ledger and copied before either may replace rows.
            own.before = lambda _, sql: starting.wait(timeout=20) if sql.startswith("LOCK") else None
            return load(own, flights, what)

    load(connection, flights, published(NEXT_DAY, "v0", NEW))  # the tables are there
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(run, versions))

    newest = max(versions)
    assert status(connection, flights)[DAY].version == newest
    assert len([row for row in rows_of(connection, flights) if row[2] == date(2013, 1, 1)]) == len(rows[newest])
    assert any(not result.skipped for result in results)


@pytest.mark.parametrize("statement", ["LOCK", "DELETE", "INSERT", "COMMIT"])
def test_a_load_that_loses_against_another_transaction_is_tried_again_without_another_copy(
    secret: WarehouseSecret,
    connection: WarehouseConnection,
    flights: WarehouseTable,
    published: Published,
    statement: str,
) -> None:
    load(connection, flights, published(NEXT_DAY, "v1", []))  # the tables are there
    losing = iter([True, True, False])

    def lose(_: int, sql: str) -> None:
        if sql.startswith(statement) and next(losing, False):
            raise ConcurrentChange("another transaction was in the way: 1023")

    with interrupted(secret) as own:
        own.before = lose
        assert load(own, flights, published(DAY, "v1", OLD)).rows == 3
        assert [sql for sql in own.statements if sql == "ROLLBACK"] == ["ROLLBACK", "ROLLBACK"]
        assert len([sql for sql in own.statements if sql.startswith("COPY")]) == 1
    assert len(rows_of(connection, flights)) == 3


def test_the_table_is_looked_at_once_for_each_connection(
    secret: WarehouseSecret, flights: WarehouseTable, published: Published
) -> None:
    with interrupted(secret) as own:
        for day in (DAY, NEXT_DAY):
            load(own, flights, published(day, "v1", NEW))
        assert len([sql for sql in own.statements if "information_schema" in sql]) == 2  # the table's and the ledger's


def test_two_first_loads_at_once_create_the_table_once(
    secret: WarehouseSecret, connection: WarehouseConnection, flights: WarehouseTable, published: Published
) -> None:
    def run(day: str) -> LoadResult:
        with connect(secret) as own:
            return load(own, flights, published(day, "v1", OLD))

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(run, [f"2013-01-0{day}" for day in range(1, 5)]))
    assert [result.rows for result in results] == [3, 3, 3, 3]
    assert len(rows_of(connection, flights)) == 12


def test_other_rows_than_the_lake_counted_change_nothing(
    connection: WarehouseConnection, flights: WarehouseTable, published: Published
) -> None:
    load(connection, flights, published(DAY, "v1", OLD))
    with pytest.raises(RowCountMismatch, match="COPY loaded 1 rows; expected the 7 rows"):
        load(connection, flights, published(DAY, "v2", NEW, expected_rows=7))
    assert len(rows_of(connection, flights)) == 3
    assert status(connection, flights)[DAY].version == "v1"


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        ([("carrier", pa.string())], {"carrier": "AA"}),
        (
            [("carrier", pa.string()), ("delay", pa.int64()), ("origin", pa.string())],
            {"carrier": "AA", "delay": 1, "origin": "JFK"},
        ),
        ([("carrier", pa.string()), ("delay", pa.string())], {"carrier": "AA", "delay": "soon"}),
    ],
    ids=["a column less", "a column more", "another type"],
)
def test_objects_with_other_columns_change_nothing_and_the_connection_goes_on(
    connection: WarehouseConnection, flights: WarehouseTable, published: Published, columns: object, row: Row
) -> None:
    load(connection, flights, published(DAY, "v1", OLD))
    with pytest.raises(StatementFailed, match=r"SQLSTATE \w{5}, in: COPY"):
        load(connection, flights, published(DAY, "v2", [row], columns=columns))
    assert len(rows_of(connection, flights)) == 3
    assert load(connection, flights, published(DAY, "v3", NEW)).rows == 1


def test_a_missing_object_changes_nothing(
    connection: WarehouseConnection, flights: WarehouseTable, published: Published
) -> None:
    uri = published.lake.put_manifest(
        "gone.redshift.json",
        {"url": published.lake.url("no/such.parquet"), "mandatory": True, "meta": {"content_length": 3}},
    )
    with pytest.raises(StatementFailed, match="COPY"):
        load(connection, flights, PartitionLoad(DAY, "v1", uri, 3))
    assert rows_of(connection, flights) == []
    assert status(connection, flights) == {}


def test_an_empty_partition_loads_as_no_rows(
    connection: WarehouseConnection, flights: WarehouseTable, published: Published
) -> None:
    load(connection, flights, published(DAY, "v1", OLD))
    assert load(connection, flights, published(DAY, "v2", [])).rows == 0
    assert rows_of(connection, flights) == []
    assert status(connection, flights)[DAY].rows == 0


def test_the_ledger_tells_what_was_loaded_from_where_and_by_whom(
    connection: WarehouseConnection, flights: WarehouseTable, published: Published
) -> None:
    assert status(connection, flights) == {}
    version = published(DAY, "v1", OLD)
    load(connection, flights, version)
    found = status(connection, flights)[DAY]
    assert (found.version, found.manifest_uri, found.rows, found.run_id) == ("v1", version.manifest_uri, 3, "run-1")
    assert found.loaded_at.tzinfo is None


@pytest.mark.parametrize("partition", ["", "yesterday", "2013-02-30"])
def test_a_partition_that_is_no_date_is_refused_before_anything_is_copied(
    connection: WarehouseConnection, flights: WarehouseTable, published: Published, partition: str
) -> None:
    with pytest.raises(ConfigurationError):
        load(connection, flights, published(partition, "v1", OLD))


def test_a_role_or_uri_that_could_leave_its_literal_is_refused(
    connection: WarehouseConnection, flights: WarehouseTable, published: Published
) -> None:
    version = published(DAY, "v1", OLD)
    with pytest.raises(ConfigurationError, match="IAM role"):
        load_partition(connection, flights, version, iam_role=f"{ROLE}' CSV --", run_id="run-1")
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        load(connection, flights, PartitionLoad(DAY, "v1", "s3://bucket/x'; drop table flights; --", 3))


def test_a_warehouse_that_stops_at_any_statement_leaves_the_old_or_the_new_version(
    postgres: Postgres, connection: WarehouseConnection, flights: WarehouseTable, published: Published
) -> None:
    rows = {"v000": OLD}
    load(connection, flights, published(DAY, "v000", OLD))
    stopped: list[Unavailable] = []
    number = 0
    while len(stopped) == number:
        version = f"v{number + 1:03}"
        rows[version] = OLD if number % 2 else NEW
        gateway = Gateway(postgres_host="127.0.0.1", postgres_port=postgres.port)
        with ExitStack() as server, ExitStack() as client:
            server.enter_context(gateway)
            own = client.enter_context(interrupted(secret_of(gateway.port)))
            own.before = lambda at, _, server=server, when=number: at == when and server.close()  # type: ignore[misc]
            try:
                load(own, flights, published(DAY, version, rows[version]))
            except Unavailable as error:
                stopped.append(error)
        held = status(connection, flights)[DAY]
        assert len(rows_of(connection, flights)) == held.rows == len(rows[held.version])
        number += 1
    assert held.version == version
    # The ledger and the table, the stage and its COPY, the lock, the replacement, the ledger again, COMMIT.
    assert len(stopped) >= 14
    assert all("127.0.0.1:" in str(error) for error in stopped)


def test_a_commit_whose_answer_is_lost_is_not_repeated(
    postgres: Postgres, connection: WarehouseConnection, flights: WarehouseTable, published: Published
) -> None:
    version = published(DAY, "v1", OLD)
    gateway = Gateway(postgres_host="127.0.0.1", postgres_port=postgres.port)
    with ExitStack() as server:
        server.enter_context(gateway)
        own = interrupted(secret_of(gateway.port))

        def commit_and_stop(_: int, sql: str) -> None:
            if sql == "COMMIT" and "LOCK" in "".join(own.statements):
                WarehouseConnection.execute(own, sql)
                server.close()

        own.before = commit_and_stop
        with pytest.raises(Unavailable):
            load(own, flights, version)
        own.close()
    assert load(connection, flights, version).skipped
    assert len(rows_of(connection, flights)) == 3
