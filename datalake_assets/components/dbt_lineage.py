"""Which column of which parent each column of a dbt model comes from, read from its compiled SQL."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    pass

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
    import sqlglot
    from sqlglot import exp
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify

    parsed = sqlglot.parse_one(sql, dialect=DIALECT)
    # A parent of unknown columns is read by one staging model, whose own column names are then all there is to know.
    mentioned = {column.name for column in parsed.find_all(exp.Column)}
    schema: dict[str, Any] = {}
    for parent in parents:
        known = parent.columns or sorted(mentioned)
        schema.setdefault(parent.schema, {})[parent.name] = dict.fromkeys(known, "varchar")
    for table in parsed.find_all(exp.Table):
        table.set("catalog", None)
    qualified = qualify(parsed, schema=schema, dialect=DIALECT, validate_qualify_columns=False)
    text = qualified.sql(dialect=DIALECT)

    keys = {(parent.schema, parent.name): parent.asset_key for parent in parents}
    found: dict[str, list[dg.TableColumnDep]] = {}
    for column in columns:
        found[column] = _sources(lineage(column, text, schema=schema, dialect=DIALECT), keys)
    return dg.TableColumnLineage(deps_by_column=found)


def _sources(root: Any, keys: Mapping[tuple[str, str], dg.AssetKey]) -> list[dg.TableColumnDep]:
    from sqlglot import exp

    found: set[tuple[dg.AssetKey, str]] = set()
    for node in root.walk():
        table: exp.Table | None = None if node.downstream else node.expression.find(exp.Table)
        if table is not None and (key := keys.get((table.db, table.name))) is not None:
            found.add((key, exp.to_column(node.name).name))
    return [dg.TableColumnDep(asset_key=key, column_name=name) for key, name in sorted(found)]
