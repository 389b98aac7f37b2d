"""Objects that are read by ranges: only the columns, row groups and footers that are needed."""

import random
from typing import Any

import pyarrow as pa
import pytest

import datalake_assets
from datalake_assets.catalog.schema import CatalogColumn, TableSchema
from datalake_assets.explore.ranges import HOLE_BYTES, MOST_BYTES, WHOLE_BYTES, FetchedFile, joined
from datalake_assets.explore.result import TableRead
from tests.explore.conftest import DAY_KEY, PublishedLake

ROWS, GROUP = 60_000, 5_000
BIG = TableSchema(
    columns=(
        CatalogColumn("n", "bigint"),
        CatalogColumn("word", "string"),
        CatalogColumn("noise", "string"),
        CatalogColumn("later", "decimal(10,2)"),
        CatalogColumn("parts", "array<struct<a:int,b:string>>"),
    ),
    partition_keys=(DAY_KEY,),
)


@pytest.fixture(scope="module", autouse=True)
def big(published_lake: PublishedLake) -> None:
    """One partition of one object of 4 MB: 12 row groups in the order of `n`, mostly noise."""
    chance = random.Random(1)
    table = pa.table(
        {
            "n": pa.array(range(ROWS), pa.int64()),
            "word": pa.array([f"word {n % 7}" for n in range(ROWS)]),
            "noise": pa.array([chance.randbytes(24).hex() for _ in range(ROWS)]),
            "parts": pa.array(
                [[{"a": n, "b": str(n)}] * (n % 3) for n in range(ROWS)],
                pa.list_(pa.struct([("a", pa.int32()), ("b", pa.string())])),
            ),
        }
    )
    published_lake.publish("big", BIG, {"2013-01-01": [table]}, row_group_size=GROUP)


def query(sql: str) -> tuple[list[tuple[Any, ...]], TableRead]:
    with datalake_assets.query(sql) as result:
        rows = list(result)
        (read,) = result.explain.tables
    return rows, read


def test_a_column_costs_its_own_bytes() -> None:
    rows, read = query("SELECT sum(n), count(DISTINCT word) FROM flights.big")
    assert rows == [(ROWS * (ROWS - 1) // 2, 7)]
    assert read.bytes_total > 10 * WHOLE_BYTES
    assert read.bytes_read < read.bytes_total / 3


def test_row_groups_that_cannot_match_are_not_fetched() -> None:
    everything = query("SELECT max(noise) FROM flights.big")[1]
    rows, read = query("SELECT n, noise FROM flights.big WHERE n BETWEEN 31_000 AND 31_002 ORDER BY n")
    assert [row[0] for row in rows] == [31_000, 31_001, 31_002]
    assert all(len(row[1]) == 48 for row in rows)
    assert read.bytes_read < everything.bytes_read / 4


def test_a_condition_on_a_column_that_is_not_asked_for_is_answered() -> None:
    rows, _ = query("SELECT count(*) FROM flights.big WHERE word = 'word 3' AND n < 700")
    assert rows == [(100,)]
    assert query("SELECT n FROM flights.big WHERE later IS NOT NULL")[0] == []
    assert query("SELECT count(*), count(later) FROM flights.big")[0] == [(ROWS, 0)]
    assert query("SELECT count(*) FROM flights.big WHERE dt = '2013-01-01'")[0] == [(ROWS,)]
    assert query("SELECT DISTINCT dt::varchar FROM flights.big")[0] == [("2013-01-01",)]


def test_nested_columns_are_fetched_with_all_their_parts() -> None:
    rows, _ = query("SELECT n, parts FROM flights.big WHERE n IN (4, 59_999) ORDER BY n")
    assert rows == [(4, [{"a": 4, "b": "4"}]), (59_999, [{"a": 59_999, "b": "59999"}] * 2)]
    assert query("SELECT sum(len(parts)) FROM flights.big")[0] == [(ROWS,)]
    assert query("SELECT count(*) FROM flights.big WHERE parts[1].a > 59_990")[0] == [(6,)]


def test_rows_keep_their_order_over_row_groups_and_files() -> None:
    rows, _ = query("SELECT n FROM flights.big")
    assert [row[0] for row in rows] == list(range(ROWS))


def test_a_footer_longer_than_the_first_guess_is_fetched_whole(published_lake: PublishedLake) -> None:
    wide = TableSchema(columns=tuple(CatalogColumn(f"c{n}", "bigint") for n in range(80)))
    table = pa.table({f"c{n}": pa.array(range(n, n + 3_000), pa.int64()) for n in range(80)})
    published_lake.publish("wide", wide, {"": [table]}, row_group_size=200)
    rows, read = query("SELECT sum(c0), max(c79) FROM flights.wide WHERE c40 >= 3_000")
    assert rows == [(sum(range(2_960, 3_000)), 79 + 2_999)]
    assert read.bytes_read < read.bytes_total


def test_near_ranges_become_one_request_and_large_ones_stay_apart() -> None:
    assert joined([(0, 10), (20, 30)]) == [(0, 30)]
    assert joined([(HOLE_BYTES * 3, HOLE_BYTES * 3 + 1), (0, 10)]) == [(0, 10), (HOLE_BYTES * 3, HOLE_BYTES * 3 + 1)]
    assert joined([(0, MOST_BYTES), (MOST_BYTES, MOST_BYTES + 5)]) == [(0, MOST_BYTES), (MOST_BYTES, MOST_BYTES + 5)]


def test_what_was_not_fetched_cannot_be_read_by_mistake() -> None:
    file = FetchedFile(100, [(10, b"0123456789")])
    file.seek(15)
    assert file.read(5) == b"56789"
    with pytest.raises(OSError, match="not fetched"):
        file.read(1)
    file.seek(0)
    with pytest.raises(OSError, match="not fetched"):
        file.read(4)


def test_an_object_that_is_no_parquet_is_told_with_its_name(published_lake: PublishedLake) -> None:
    from datalake_assets.catalog import manifest as manifests

    version = published_lake.publish("broken", BIG, {"2013-01-01": [pa.table({"n": pa.array([1], pa.int64())})]})
    s3, bucket = published_lake.session.client("s3"), "datalake-flights-lake"
    prefix = f"broken/dt=2013-01-01/v={version}/"
    (stored,) = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    s3.put_object(Bucket=bucket, Key=stored["Key"], Body=b"x" * stored["Size"])
    etag = s3.head_object(Bucket=bucket, Key=stored["Key"])["ETag"]
    found = manifests.read_manifest(s3, bucket, "broken", "2013-01-01", version)
    text = (
        manifests._adapter()
        .dump_json(found)
        .decode()
        .replace(found.version.objects[0].etag.strip('"'), etag.strip('"'))
    )
    s3.put_object(Bucket=bucket, Key=found.key, Body=text.encode())
    with pytest.raises(manifests.ManifestMismatch, match="broken/dt=2013-01-01"):
        query("SELECT n FROM flights.broken")
