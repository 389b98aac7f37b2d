"""Glue: databases, tables with all their versions, partitions, and who else may read them."""

import pickle
from collections.abc import Iterator
from typing import Any

from moto.glue.models import FakeDatabase, FakeTable, GlueBackend, glue_backends

from datalake_assets.sandbox.aws.journal import Journal, ResourceId
from datalake_assets.sandbox.aws.recording import Recorder, Touch, rebuilt

DATABASE, TABLE, PARTITION, POLICIES = "glue.database", "glue.table", "glue.partition", "glue.policies"


def record(recorder: Recorder) -> None:
    """Report every change from now on."""
    for method in ("create_database", "update_database", "delete_database"):
        recorder.wrap(GlueBackend, method, _database)
    for method in ("create_table", "update_table", "delete_table_version"):
        recorder.wrap(GlueBackend, method, _table)
    recorder.wrap(GlueBackend, "delete_table", _whole_table)
    recorder.wrap(GlueBackend, "create_partition", _input_partition)
    recorder.wrap(GlueBackend, "update_partition", _updated_partition)
    recorder.wrap(GlueBackend, "delete_partition", _values_partition)
    recorder.wrap(GlueBackend, "batch_create_partition", _input_partitions)
    recorder.wrap(GlueBackend, "batch_update_partition", _updated_partitions)
    recorder.wrap(GlueBackend, "batch_delete_partition", _values_partitions)
    for method in ("put_resource_policy", "delete_resource_policy"):
        recorder.wrap(GlueBackend, method, _policies)


def restore(journal: Journal) -> None:
    """Put everything back as it was."""
    for resource, body in journal.read(DATABASE):
        database = rebuilt(FakeDatabase, pickle.loads(body))
        database.tables = {}
        glue_backends[resource.account][resource.region].databases[resource.name[0]] = database
    for resource, body in journal.read(TABLE):
        table = rebuilt(FakeTable, pickle.loads(body))
        table.partitions = {}
        backend = glue_backends[resource.account][resource.region]
        backend.databases[resource.name[0]].tables[resource.name[1]] = table
    for resource, body in journal.read(PARTITION):
        database_name, table_name, values = resource.name
        backend = glue_backends[resource.account][resource.region]
        backend.databases[database_name].tables[table_name].partitions[values] = pickle.loads(body)
    for resource, body in journal.read(POLICIES):
        glue_backends[resource.account][resource.region].resource_policies = pickle.loads(body)


def _id(backend: GlueBackend, kind: str, *name: str) -> ResourceId:
    return ResourceId(kind, backend.account_id, backend.region_name, name)


def _policies(backend: GlueBackend, *_: Any, **__: Any) -> Iterator[Touch]:
    yield (
        _id(backend, POLICIES, "all"),
        lambda: pickle.dumps(backend.resource_policies, pickle.HIGHEST_PROTOCOL) if backend.resource_policies else None,
    )


def _find(backend: GlueBackend, database_name: str, table_name: str) -> FakeTable | None:
    database = backend.databases.get(database_name)
    return database.tables.get(table_name) if database else None


def _without(instance: object, left_out: str) -> bytes:
    state = {name: value for name, value in instance.__dict__.items() if name != left_out}
    return pickle.dumps(state, pickle.HIGHEST_PROTOCOL)


def _database(backend: GlueBackend, database_name: str, *_: Any, **__: Any) -> Iterator[Touch]:
    def body() -> bytes | None:
        database = backend.databases.get(database_name)
        return None if database is None else _without(database, "tables")

    yield _id(backend, DATABASE, database_name), body
    # Only a deletion changes the tables too; an update writes them again, which is rare and does no harm.
    database = backend.databases.get(database_name)
    for table_name in list(database.tables) if database else []:
        yield from _whole_table(backend, database_name, table_name)


def _table(backend: GlueBackend, database_name: str, table_name: str, *_: Any, **__: Any) -> Iterator[Touch]:
    def body() -> bytes | None:
        table = _find(backend, database_name, table_name)
        return None if table is None else _without(table, "partitions")

    yield _id(backend, TABLE, database_name, table_name), body


def _whole_table(backend: GlueBackend, database_name: str, table_name: str, *_: Any, **__: Any) -> Iterator[Touch]:
    yield from _table(backend, database_name, table_name)
    table = _find(backend, database_name, table_name)
    for values in list(table.partitions) if table else []:
        yield _partition(backend, database_name, table_name, values)


def _partition(backend: GlueBackend, database_name: str, table_name: str, values: object) -> Touch:
    key = str(values)  # as moto keys them: the text of the list

    def body() -> bytes | None:
        table = _find(backend, database_name, table_name)
        partition = table.partitions.get(key) if table else None
        return None if partition is None else pickle.dumps(partition, pickle.HIGHEST_PROTOCOL)

    return _id(backend, PARTITION, database_name, table_name, key), body


def _values_partition(
    backend: GlueBackend, database_name: str, table_name: str, part_to_delete: object
) -> Iterator[Touch]:
    yield _partition(backend, database_name, table_name, part_to_delete)


def _input_partition(
    backend: GlueBackend, database_name: str, table_name: str, part_input: dict[str, Any]
) -> Iterator[Touch]:
    yield _partition(backend, database_name, table_name, part_input.get("Values", []))


def _updated_partition(
    backend: GlueBackend, database_name: str, table_name: str, part_input: dict[str, Any], part_to_update: object
) -> Iterator[Touch]:
    yield _partition(backend, database_name, table_name, part_to_update)
    yield _partition(backend, database_name, table_name, part_input.get("Values", []))


def _input_partitions(
    backend: GlueBackend, database_name: str, table_name: str, partition_input: list[dict[str, Any]]
) -> Iterator[Touch]:
    for each in partition_input:
        yield from _input_partition(backend, database_name, table_name, each)


def _updated_partitions(
    backend: GlueBackend, database_name: str, table_name: str, entries: list[dict[str, Any]]
) -> Iterator[Touch]:
    for each in entries:
        yield from _updated_partition(
            backend, database_name, table_name, each["PartitionInput"], each["PartitionValueList"]
        )


def _values_partitions(
    backend: GlueBackend, database_name: str, table_name: str, parts: list[dict[str, Any]]
) -> Iterator[Touch]:
    for each in parts:
        yield _partition(backend, database_name, table_name, each.get("Values"))
