"""Expressions of `columns`: whether they are one, what they read, and the same text over other names."""

import difflib
from collections.abc import Collection, Mapping

from datalake_assets.mapping.check_sql import expression_mistake

# Their answer hangs on when a run takes place, and a repeated run must give the same rows.
CLOCKS = frozenset(
    {
        "current_date", "current_localtime", "current_localtimestamp", "current_time", "current_timestamp",
        "get_current_time", "get_current_timestamp", "localtime", "localtimestamp", "now", "today",
        "transaction_timestamp",
    }
)  # fmt: skip


def column_expression_mistake(sql: str, known: Collection[str], later: Collection[str] = ()) -> str | None:
    """What is wrong with the expression of a column, None if nothing is.

    Args:
        known: the target columns before it; case does not matter.
        later: those behind it, which it cannot read.
    """
    return expression_mistake(
        sql,
        known,
        subject="the expression of a column",
        refused=CLOCKS,
        unknown=lambda name: _unknown(name, known, later),
    )


def _unknown(name: str, known: Collection[str], later: Collection[str]) -> str:
    if name.lower() in {each.lower() for each in later}:
        return f"{name!r} stands behind it in the list; an expression reads the columns before it"
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    expected = f"one of {', '.join(known)}" if known else "columns before it, and there are none"
    return f"{name!r} is no target column before it; expected {expected}{hint}"


def columns_of(sql: str) -> frozenset[str]:
    """The names of the columns that a checked expression reads, in lower case."""
    from sqlglot import exp, parse_one

    return frozenset(column.name.lower() for column in parse_one(sql, read="duckdb").find_all(exp.Column))


def with_columns(sql: str, spelled: Mapping[str, str]) -> str:
    """A checked expression with other SQL in place of its columns; all else stays as it was typed.

    Args:
        spelled: column in lower case → SQL.
    """
    from sqlglot import exp, parse_one

    edits = [
        (column.this.meta["start"], column.this.meta["end"] + 1, spelled[column.name.lower()])
        for column in parse_one(sql, read="duckdb").find_all(exp.Column)
    ]
    text = sql
    for start, end, replacement in sorted(edits, reverse=True):
        text = text[:start] + replacement + text[end:]
    return text
