"""Which column of which parent each column of a dbt model comes from, read from its compiled SQL."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

DIALECT = "redshift"


@dataclass(frozen=True)
class Relation:
    """A table or view that a model reads, and its columns; no columns when they are not known."""

    schema: str
    name: str
    asset_key: dg.AssetKey
    columns: Sequence[str] = ()


def column_lineage(sql: str, columns: Iterable[str], parents: Sequence[Relation]) -> dg.TableColumnLineage:
    """Return where each of `columns` comes from; a column that is computed from nothing has no parents.

    Args:
        sql: the model's compiled SELECT, as it runs in Redshift.
        columns: the model's columns.
        parents: the relations in the SQL.

    Raises:
        sqlglot.errors.SqlglotError: the SQL is beyond the parser.
    """
    from datalake_assets.derive.lineage import column_sources

    keys = {(parent.schema, parent.name): parent.asset_key for parent in parents}
    tables = {(parent.schema, parent.name): parent.columns for parent in parents}
    found = column_sources(sql, columns, tables, dialect=DIALECT)
    deps = {
        column: [dg.TableColumnDep(asset_key=key, column_name=name) for key, name in sorted(_keyed(sources, keys))]
        for column, sources in found.items()
    }
    return dg.TableColumnLineage(deps_by_column=deps)


def _keyed(
    sources: Iterable[tuple[tuple[str, str], str]], keys: Mapping[tuple[str, str], dg.AssetKey]
) -> set[tuple[dg.AssetKey, str]]:
    return {(keys[table], name) for table, name in sources}
