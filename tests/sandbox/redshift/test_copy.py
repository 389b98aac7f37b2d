"""COPY of Parquet by prefix and manifest, with the real driver."""

import pyarrow as pa


def test_a_manifest_is_loaded_inside_the_clients_transaction(connect, cursor, lake, schema):
    cursor.execute(f"create table {schema}.flights (id bigint, carrier varchar(10))")
    rows = pa.table({"id": pa.array([1, 2], pa.int64()), "carrier": ["UA", None]})
    manifest = lake.put_manifest(f"{schema}/m.json", lake.put_parquet(f"{schema}/a.parquet", rows))
    loader = connect()
    work = loader.cursor()
    work.execute(f"copy {schema}.flights from '{manifest}' iam_role 'arn:aws:iam::1:role/x' format as parquet manifest")
    work.execute("select pg_last_copy_count()")
    assert work.fetchone() == [2]
    cursor.execute(f"select count(*) from {schema}.flights")
    assert cursor.fetchone() == [0]
    loader.commit()
    cursor.execute(f"select * from {schema}.flights order by id")
    assert [list(row) for row in cursor.fetchall()] == [[1, "UA"], [2, None]]
