"""Columns of pg_attribute that only Redshift has: how a column is stored, which is in no particular way here."""

from collections.abc import Iterator

from datalake_assets.sandbox.redshift.tokens import Edit, Statement

_VALUES = {"attisdistkey": "false", "attsortkeyord": "0", "attencodingtype": "0"}
TRIGGERS = frozenset(_VALUES)


def edits(statement: Statement) -> Iterator[Edit]:
    """Write the constant they would hold."""
    for index in range(len(statement)):
        value = _VALUES.get(statement.word(index))
        if value is None or statement.word(index - 1) == "as":
            continue
        is_qualified = statement.text(index - 1) == "." and statement.is_identifier(index - 2)
        yield statement.replace(index - 2 if is_qualified else index, index + 1, value)
