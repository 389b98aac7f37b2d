"""LISTAGG(x, ',') WITHIN GROUP (ORDER BY y): the aggregate is SQL, only the place of the order differs."""

from collections.abc import Iterator

from datalake_assets.sandbox.redshift.tokens import Edit, Statement

TRIGGERS = frozenset({"listagg"})


def edits(statement: Statement) -> Iterator[Edit]:
    """Move ORDER BY into the aggregate's brackets; without a delimiter it is the empty text."""
    for index in range(len(statement)):
        if statement.word(index) != "listagg" or not statement.is_call(index):
            continue
        close = statement.closing(index + 1)
        if len(statement.arguments(index + 1)) == 1:
            yield statement.before(close, ", ''")
        if statement.starts("within", "group", at=close + 1) and statement.text(close + 3) == "(":
            group_close = statement.closing(close + 3)
            # The order keeps its place in the text; the brackets move around it, so that nested rules still apply.
            yield statement.replace(close, close + 1, " ")
            yield statement.replace(close + 1, close + 4, "")
            yield statement.replace(group_close, group_close + 1, ")")
