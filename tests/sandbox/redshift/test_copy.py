"""COPY of Parquet by prefix and by manifest, sent by the real driver."""

import datetime as dt
import json
from decimal import Decimal

import pyarrow as pa
import pytest
import redshift_connector

from datalake_assets.sandbox.redshift.copy import rows as copy_rows
from datalake_assets.sandbox.redshift.server import Gateway

ROLE = "iam_role 'arn:aws:iam::123456789012:role/loader'"


def numbers(*values):
    return pa.table({"a": pa.array(values, pa.int64())})


def rows_of(cursor, query):
    cursor.execute(query)
    return [list(row) for row in cursor.fetchall()]


def failure_of(cursor, statement):
    with pytest.raises(redshift_connector.ProgrammingError) as caught:
        cursor.execute(statement)
    return caught.value.args[0]


@pytest.fixture
def table(cursor, schema):
    cursor.execute(f"create table {schema}.t (a bigint)")
    return f"{schema}.t"


def test_a_manifest_is_loaded_inside_the_clients_transaction(connect, cursor, lake, table):
    manifest = lake.put_manifest(
        f"{table}/m.json",
        lake.put_parquet(f"{table}/a.parquet", numbers(1, 2)),
        lake.put_parquet(f"{table}/b.parquet", numbers(None)),
    )
    connection = connect()
    work = connection.cursor()
    work.execute(f"copy {table} from '{manifest}' {ROLE} format as parquet manifest")
    work.execute("select pg_last_copy_count(), pg_last_copy_id() > 0")
    assert work.fetchone() == [3, True]
    assert rows_of(cursor, f"select count(*) from {table}") == [[0]]
    connection.commit()
    assert rows_of(cursor, f"select a from {table} order by a") == [[1], [2], [None]]
    loaded = rows_of(
        cursor,
        f"select data_source, loaded_rows, source_file_count from sys_load_history where data_source = '{manifest}'",
    )
    assert loaded == [[manifest, 3, 2]]


def test_a_rollback_undoes_a_copy_and_a_table_made_in_the_same_transaction_can_be_loaded(connect, cursor, lake, schema):
    lake.put_parquet(f"{schema}/new/a.parquet", numbers(7))
    connection = connect()
    work = connection.cursor()
    work.execute(f"create table {schema}.made (a bigint)")
    work.execute(f"copy {schema}.made from '{lake.url(schema)}/new/' {ROLE} parquet")
    work.execute("create temp table staging (a bigint)")
    work.execute(
        f"copy staging (a) from '{lake.url(schema)}/new/' iam_role default format parquet statupdate off compupdate off"
    )
    assert rows_of(work, f"select * from {schema}.made union all select * from staging") == [[7], [7]]
    connection.rollback()
    assert rows_of(cursor, f"select count(*) from svv_tables where table_schema = '{schema}'") == [[0]]


def test_every_type_arrives_as_it_is(cursor, lake, schema):
    cursor.execute(f"""
        create table {schema}.t (
            small smallint, normal int, big bigint, money decimal(18, 4), half real, whole double precision,
            yes boolean, day date, moment timestamp, zoned timestamptz, name varchar(300), code char(3),
            tree super, raw varbyte
        )
    """)
    nasty = "comma, \"quote\", 'apostrophe'\n\\.\n\\N tab\t emoji 🦉 back\\slash\r\nend"
    moment = dt.datetime(2013, 1, 1, 23, 59, 59, 999999)
    data = pa.table(
        {
            "small": pa.array([1, None, -5], pa.int16()),
            "normal": pa.array([2, None, -6], pa.int32()),
            "big": pa.array([2**62, None, -7], pa.int64()),
            "money": pa.array([Decimal("12345678901234.5678"), None, Decimal("-0.0001")], pa.decimal128(18, 4)),
            "half": pa.array([0.5, None, float("inf")], pa.float32()),
            "whole": pa.array([0.1, None, 1e-300], pa.float64()),
            "yes": pa.array([True, None, False]),
            "day": pa.array([dt.date(2012, 2, 29), None, dt.date(1, 1, 1)]),
            "moment": pa.array([moment, None, dt.datetime(1970, 1, 1)], pa.timestamp("ns")),
            "zoned": pa.array([moment, None, moment], pa.timestamp("us", "UTC")),
            "name": pa.array([nasty, None, ""]),
            "code": pa.array(["abc", None, "x"]).dictionary_encode(),
            "tree": pa.array([{"a": [1, None], "b": "ö"}, None, {"a": [], "b": None}]),
            "raw": pa.array([b"\x00\xff", None, b""], pa.binary()),
        }
    )
    lake.put_parquet(f"{schema}/a.parquet", data)
    cursor.execute(f"copy {schema}.t from '{lake.url(schema)}/a' {ROLE} format parquet serializetojson")
    rows = rows_of(cursor, f"select * from {schema}.t where big is not null order by big desc")
    first, third = rows
    (nulls,) = rows_of(cursor, f"select * from {schema}.t where big is null")
    assert nulls == [None] * 14
    assert first[:12] == [
        1, 2, 2**62, Decimal("12345678901234.5678"), 0.5, 0.1, True, dt.date(2012, 2, 29), moment,
        moment.replace(tzinfo=dt.UTC), nasty, "abc",
    ]  # fmt: skip
    assert json.loads(first[12]) == {"a": [1, None], "b": "ö"}
    assert third[3:6] == [Decimal("-0.0001"), float("inf"), 1e-300]
    assert third[7] == dt.date(1, 1, 1)
    assert third[10] == ""
    assert rows_of(
        cursor, f"select encode(raw, 'hex') from {schema}.t where big = -7 or big > 0 order by big desc"
    ) == [["00ff"], [""]]


def test_a_column_list_names_the_columns_in_the_order_of_the_file(cursor, lake, schema):
    cursor.execute(f'create table {schema}.t (a bigint, "Select" varchar(10), c int default 5)')
    lake.put_parquet(f"{schema}/a.parquet", pa.table({"x": ["v"], "y": pa.array([1], pa.int64())}))
    cursor.execute(f"copy {schema}.t (\"Select\", a) from '{lake.url(schema)}/a' {ROLE} parquet")
    assert rows_of(cursor, f"select * from {schema}.t") == [[1, "v", 5]]


def test_empty_and_hidden_objects_under_a_prefix_are_skipped(cursor, lake, table):
    lake.put_parquet(f"{table}/p/a.parquet", numbers(1))
    lake.put(f"{table}/p/empty.parquet", b"")
    lake.put(f"{table}/p/_SUCCESS", b"done")
    lake.put(f"{table}/p/.hidden", b"x")
    cursor.execute(f"copy {table} from '{lake.url(table)}/p/' {ROLE} parquet")
    assert rows_of(cursor, f"select a from {table}") == [[1]]


def test_a_file_that_does_not_fit_is_refused_and_the_error_outlives_the_rollback(connect, cursor, lake, schema):
    cursor.execute(f"create table {schema}.t (a int, b varchar(4))")
    cases = {
        "columns": (
            numbers(1),
            "Unmatched number of columns between table and file. Table columns: 2, Data columns: 1",
        ),
        "types": (
            pa.table({"a": pa.array([1], pa.int64()), "b": ["x"]}),
            "has an incompatible Parquet schema for column",
        ),
        "length": (
            pa.table({"a": pa.array([1], pa.int32()), "b": ["äöü"]}),
            "The length of the data column b is longer than the length defined in the table. Table: 4, Data: 6",
        ),
    }
    for name, (data, expected) in cases.items():
        lake.put_parquet(f"{schema}/{name}.parquet", data)
        connection = connect()
        work = connection.cursor()
        work.execute("select 1")
        error = failure_of(work, f"copy {schema}.t from '{lake.url(schema)}/{name}' {ROLE} parquet")
        assert (error["C"], error["M"]) == ("XX000", "Spectrum Scan Error")
        assert expected in error["D"]
        assert failure_of(work, "select 1")["C"] == "25P02"
        connection.rollback()
        assert rows_of(work, "select 1") == [[1]]
        (reason,) = rows_of(
            cursor, f"select error_message from sys_load_error_detail where file_name like '%{schema}/{name}%'"
        )
        assert expected in reason[0]
    assert rows_of(cursor, f"select count(*) from stl_load_errors where filename like '%{schema}/%'") == [[3]]
    assert rows_of(cursor, f"select count(*) from {schema}.t") == [[0]]


def test_an_unreadable_object_in_the_middle_loads_nothing(cursor, lake, table):
    good = lake.put_parquet(f"{table}/a.parquet", numbers(*range(1000)))
    bad = lake.put(f"{table}/b.parquet", b"PAR1 this is no parquet file PAR1")
    manifest = lake.put_manifest(f"{table}/m.json", good, bad)
    error = failure_of(cursor, f"copy {table} from '{manifest}' {ROLE} parquet manifest")
    assert "is not a readable Parquet file" in error["D"]
    assert "b.parquet" in error["D"]
    assert rows_of(cursor, f"select count(*) from {table}") == [[0]]


def test_a_row_that_postgresql_refuses_ends_the_copy_with_its_error(cursor, lake, schema):
    cursor.execute(f"create table {schema}.t (a bigint not null)")
    lake.put_parquet(f"{schema}/a.parquet", numbers(*range(100_000), None))
    error = failure_of(cursor, f"copy {schema}.t from '{lake.url(schema)}/a' {ROLE} parquet")
    assert error["C"] == "23502"
    assert rows_of(cursor, f"select count(*) from {schema}.t") == [[0]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"meta": {"content_length": 1}}, "File size does not match the manifest"),
        ({"meta": {}}, "must contain meta.content_length"),
        ({"url": "s3://lake-bucket/nowhere"}, "Mandatory url 's3://lake-bucket/nowhere'"),
        ({"url": "https://lake-bucket/nowhere"}, "invalid url"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused(cursor, lake, table, change, expected):
    entry = {**lake.put_parquet(f"{table}/a.parquet", numbers(1)), **change}
    manifest = lake.put_manifest(f"{table}/m.json", entry)
    assert expected in failure_of(cursor, f"copy {table} from '{manifest}' {ROLE} parquet manifest")["M"]


def test_a_missing_object_that_is_not_mandatory_is_left_out(cursor, lake, table):
    entry = lake.put_parquet(f"{table}/a.parquet", numbers(1))
    missing = {**entry, "url": f"{lake.url(table)}/none", "mandatory": False}
    manifest = lake.put_manifest(f"{table}/m.json", missing, entry)
    cursor.execute(f"copy {table} from '{manifest}' {ROLE} parquet manifest")
    assert rows_of(cursor, f"select count(*) from {table}") == [[1]]


def test_what_does_not_exist_is_named(cursor, lake, table, schema):
    cases = {
        f"copy {table} from '{lake.url('no/')}' {ROLE} parquet": "The specified S3 prefix 'no/' does not exist",
        f"copy {table} from '{lake.url('no.json')}' {ROLE} parquet manifest": "Problem reading manifest file",
        f"copy {table} from 's3://no-such-bucket/x' {ROLE} parquet": "NoSuchBucket",
        f"copy {schema}.missing from '{lake.url('x')}' {ROLE} parquet": "Cannot COPY into nonexistent table missing",
        f"copy {table} (nope) from '{lake.url('x')}' {ROLE} parquet": 'column "nope"',
    }
    lake.put("broken.json", b"{")
    cases[f"copy {table} from '{lake.url('broken.json')}' {ROLE} parquet manifest"] = "not in the correct json format"
    for statement, expected in cases.items():
        assert expected in failure_of(cursor, statement)["M"]
    assert rows_of(cursor, "select 1") == [[1]]


def test_an_s3_that_does_not_answer_is_said_and_the_connection_stays_usable(
    postgres, lake, cursor, table, connect, monkeypatch
):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with Gateway(postgres_host="127.0.0.1", postgres_port=postgres.port) as lonely:
        connection = connect(port=lonely.port)
        work = connection.cursor()
        error = failure_of(work, f"copy {table} from 's3://lake-bucket/x' {ROLE} parquet")
        assert "S3 does not answer" in error["M"]
        assert error["C"] == "58030"
        connection.rollback()
        assert rows_of(work, "select 2") == [[2]]
        connection.close()


def test_many_batches_and_row_groups_arrive_complete(cursor, lake, table, monkeypatch):
    monkeypatch.setattr(copy_rows, "_BATCH_ROWS", 1000)
    lake.put_parquet(f"{table}/big.parquet", numbers(*range(120_000)), row_group_size=7_001)
    cursor.execute(f"copy {table} from '{lake.url(table)}/big' {ROLE} parquet")
    assert rows_of(cursor, f"select count(*), sum(a), max(a) from {table}") == [[120_000, 7_199_940_000, 119_999]]


def test_secrets_of_a_copy_are_neither_logged_nor_kept(cursor, lake, table, gateway):
    lake.put_parquet(f"{table}/a.parquet", numbers(1))
    cursor.execute(
        f"copy {table} from '{lake.url(table)}/a' access_key_id 'AKIAHUSH' secret_access_key 'very-hush' parquet"
    )
    assert "hush" not in gateway._log_path.read_text().lower().replace("table", "")
    assert rows_of(cursor, "select count(*) from sys_load_history where query_text ilike '%hush%'") == [[0]]
