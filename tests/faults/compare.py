"""Raw objects, lake rows and warehouse rows, one by one, as somebody reads them who knows nothing of our code.

The lake is read through Glue's locations with pyarrow, the warehouse with redshift_connector, the arrival ledger with
plain SQL. Only names are shared with the platform.
"""

import contextlib
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from datalake_assets.accounts.registry import Account, registry
from tests.faults.expected import Content, Elements, Place, Rows, Table, parse, together

MAX_TOLD = 5


class Outsider:
    """Reads everything with clients of its own, in the environment of this process; safe to use from one thread."""

    def __init__(self, location: str = "flights") -> None:
        import boto3

        self.account: Account = registry().account(location)
        sts = boto3.client("sts")
        found = sts.assume_role(RoleArn=self.account.role, RoleSessionName="outsider")["Credentials"]
        session = boto3.Session(
            found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"], region_name=self.account.region
        )
        self.s3 = session.client("s3")
        self.glue = session.client("glue")
        self.sqs = session.client("sqs")
        secret = session.client("secretsmanager").get_secret_value(SecretId=self.account.warehouse_secret)
        self._secret = json.loads(secret["SecretString"])
        self._warehouse: Any = None
        self._clients = [sts, self.s3, self.glue, self.sqs]

    def close(self) -> None:
        self._forget_warehouse()
        for client in self._clients:
            client.close()

    # Raw

    def raw_objects(self, table: Table, partition: str) -> dict[str, tuple[str, int]]:
        """Data objects of a partition: key → (ETag, size)."""
        found: dict[str, tuple[str, int]] = {}
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.account.raw_bucket, Prefix=table.prefix(partition)
        )
        for page in pages:
            for item in page.get("Contents", []):
                if table.is_data(item["Key"], partition):
                    found[item["Key"]] = (item["ETag"].strip('"'), item["Size"])
        return found

    def raw(self, table: Table, partition: str) -> Content:
        bucket = self.account.raw_bucket
        return together(
            [
                parse(table, f"s3://{bucket}/{key}", self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
                for key in self.raw_objects(table, partition)
            ]
        )

    # Lake

    def published(self, name: str, partition: str) -> dict[str, Any] | None:
        """Glue's entry of a partition (of the table, without partitions); None before its first publication."""
        where = {"DatabaseName": self.account.glue_database}
        try:
            if partition:
                answer = self.glue.get_partition(**where, TableName=name, PartitionValues=[partition])["Partition"]
            else:
                answer = self.glue.get_table(**where, Name=name)["Table"]
        except self.glue.exceptions.EntityNotFoundException:
            return None
        return dict(answer) if "datalake_version" in answer.get("Parameters", {}) else None

    def lake(self, table: Table, partition: str) -> Rows | None:
        """The rows that readers of the catalog see; None before the first publication.

        Raises:
            AssertionError: a raw record is there twice, or a file is missing.
        """
        entry = self.published(table.name, partition)
        if entry is None:
            return None
        rows: Rows = {}
        for record in self._records(entry):
            place = (record["_source_file"], int(record["_source_row"]))
            assert place not in rows, f"{table.name} {partition}: {place} is in the lake twice"
            rows[place] = tuple(record[column.name] for column in table.columns)
        return rows

    def children(self, table: Table, partition: str) -> dict[str, Elements]:
        """The rows of each child table that is published.

        Raises:
            AssertionError: an element is there twice, or a file is missing.
        """
        found: dict[str, Elements] = {}
        keys: dict[str, list[str]] = {}
        for child in table.all_children:
            keys[child.name] = [*(key for above in child.above for key in keys[above]), *child.keys]
            entry = self.published(child.name, partition)
            if entry is None:
                continue
            rows = found[child.name] = {}
            for record in self._records(entry):
                positions = (int(record[name]) for name in child.positions)
                place = (record["_source_file"], int(record["_source_row"]), *positions)
                assert place not in rows, f"{child.name} {partition}: {place} is there twice"
                rows[place] = tuple(record[name] for name in [*keys[child.name], *(c.name for c in child.columns)])
        return found

    def quarantine(self, table: Table, partition: str) -> frozenset[Place]:
        entry = self.published(table.quarantine, partition)
        places = [(r["_source_file"], int(r["_source_row"])) for r in self._records(entry)] if entry else []
        assert len(places) == len(set(places)), f"{table.quarantine} {partition}: a record is there twice"
        return frozenset(places)

    def _records(self, entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        from pyarrow import parquet

        location = entry["StorageDescriptor"]["Location"]
        bucket, _, prefix = location.removeprefix("s3://").partition("/")
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        assert keys, f"{location} is empty"
        for key in keys:
            try:
                body = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            except self.s3.exceptions.NoSuchKey as error:
                raise AssertionError(f"{key} is gone while it is read") from error
            yield from parquet.ParquetFile(io.BytesIO(body)).read().to_pylist()

    # Warehouse

    def _forget_warehouse(self) -> None:
        if self._warehouse is not None:
            with contextlib.suppress(Exception):  # it is broken already
                self._warehouse.close()
        self._warehouse = None

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Ask the warehouse; a table that is not there yet has no rows."""
        import redshift_connector

        try:
            if self._warehouse is None:
                self._warehouse = redshift_connector.connect(
                    host=self._secret["host"],
                    port=self._secret["port"],
                    database=self._secret["dbname"],
                    user=self._secret["username"],
                    password=self._secret["password"],
                    ssl=False,
                )
                self._warehouse.autocommit = True
            cursor = self._warehouse.cursor()
            cursor.execute(sql, tuple(parameters) or None)
            return list(cursor.fetchall())
        except redshift_connector.Error as error:
            self._forget_warehouse()
            if "does not exist" in str(error):
                return []
            raise
        except Exception:
            self._forget_warehouse()
            raise

    def warehouse(self, table: Table, partitions: Sequence[str]) -> dict[str, Rows]:
        """The rows of each partition, asked for in one statement."""
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        if table.is_partitioned:
            marks = ", ".join(["%s"] * len(partitions))
            sql = f"SELECT dt, _source_file, _source_row, {names} FROM lake.{table.name} WHERE dt IN ({marks})"
            records = self.query(sql, partitions)
        else:
            records = self.query(f"SELECT '', _source_file, _source_row, {names} FROM lake.{table.name}")
        rows: dict[str, Rows] = {partition: {} for partition in partitions}
        for day, uri, line, *values in records:
            place = (str(uri), int(line))
            assert place not in rows[str(day)], f"{table.name} {day}: {place} is in the warehouse twice"
            rows[str(day)][place] = tuple(values)
        return rows

    def loaded(self, table: Table) -> dict[str, str]:
        """The load ledger: partition → version."""
        found = self.query("SELECT partition_key, version FROM lake._load_ledger WHERE table_name = %s", [table.name])
        return {str(partition): str(version) for partition, version in found}

    # Arrival ledger

    def ledger(self, table: Table) -> tuple[dict[str, dict[str, tuple[str, int]]], dict[str, tuple[bool, str | None]]]:
        """Live objects by partition, and whether each partition is dirty with its published version."""
        import psycopg2

        url = os.environ["DATALAKE_DATABASE_URL"].replace("+psycopg2", "")
        objects: dict[str, dict[str, tuple[str, int]]] = {}
        with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT partition, key, etag, size FROM arrival_object "
                "WHERE source_id = %s AND NOT is_deleted AND NOT is_marker",
                [table.source_id],
            )
            for partition, key, etag, size in cursor.fetchall():
                objects.setdefault(partition, {})[key] = (etag, size)
            cursor.execute(
                "SELECT partition, changed_seq > published_seq, published_version FROM arrival_partition "
                "WHERE source_id = %s",
                [table.source_id],
            )
            states = {partition: (is_dirty, version) for partition, is_dirty, version in cursor.fetchall()}
        return objects, states


def differences(reader: Outsider, table: Table, partitions: Sequence[str]) -> list[str]:
    """Everything in which raw, lake, quarantine, warehouse, load ledger and arrival ledger disagree."""
    found: list[str] = []
    loaded, warehouse = reader.loaded(table), reader.warehouse(table, partitions)
    objects, states = reader.ledger(table)
    for partition in partitions:
        where = f"{table.name} {partition}".rstrip()
        raw = reader.raw(table, partition)
        lake = reader.lake(table, partition) or {}
        quarantine = reader.quarantine(table, partition)
        found += _rows_differ(f"{where}: lake against raw", lake, raw.good)
        found += _rows_differ(f"{where}: warehouse against lake", warehouse[partition], lake)
        found += [f"{where}: {place} is in quarantine, but it is good" for place in sorted(quarantine - raw.bad)]
        found += [f"{where}: {place} is bad, but not in quarantine" for place in sorted(raw.bad - quarantine)]
        found += [f"{where}: {place} is in lake and quarantine" for place in sorted(quarantine & set(lake))]
        bucket = reader.raw_objects(table, partition)
        if (known := objects.get(partition, {})) != bucket:
            found.append(f"{where}: the ledger has {known}, the bucket {bucket}")
        entry = reader.published(table.name, partition)
        version = entry["Parameters"]["datalake_version"] if entry else None
        if loaded.get(partition) != version:
            found.append(f"{where}: the lake shows {version}, the warehouse {loaded.get(partition)}")
        children = reader.children(table, partition)
        for child in table.all_children:
            shown = reader.published(child.name, partition)
            if (held := shown["Parameters"]["datalake_version"] if shown else None) != version:
                found.append(f"{where}: the lake shows {version}, {child.name} {held}")
            wanted = raw.children.get(child.name, {})
            found += _rows_differ(f"{child.name} {partition}: against raw", children.get(child.name, {}), wanted)
        is_dirty, marked = states.get(partition, (False, None))
        if is_dirty:
            found.append(f"{where}: the ledger has it as work")
        if marked != version:
            found.append(f"{where}: the lake shows {version}, the arrival ledger {marked}")
    return found


def _rows_differ(where: str, got: Mapping[Any, Any], wanted: Mapping[Any, Any]) -> list[str]:
    found = [f"{where}: {place} is missing" for place in sorted(wanted.keys() - got.keys())]
    found += [f"{where}: {place} is too much" for place in sorted(got.keys() - wanted.keys())]
    found += [
        f"{where}: {place} is {got[place]}, not {wanted[place]}"
        for place in sorted(wanted.keys() & got.keys())
        if got[place] != wanted[place]
    ]
    more = len(found) - MAX_TOLD
    return [*found[:MAX_TOLD], f"{where}: and {more} more"] if more > 0 else found
