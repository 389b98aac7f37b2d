"""Type names that PostgreSQL spells otherwise or does not have."""

from collections.abc import Iterator

from datalake_assets.sandbox.redshift.refusals import unsupported
from datalake_assets.sandbox.redshift.tokens import Edit, Statement

_REFUSED = ("geometry", "geography", "hllsketch")
TRIGGERS = frozenset({"varchar", "varying", "nvarchar", "super", "varbyte", "varbinary", *_REFUSED})
_MAX_VARCHAR = "(65535)"


def edits(statement: Statement) -> Iterator[Edit]:
    """Rewrite type names where a type can stand: after a column's name, `::` or `AS` of a cast."""
    is_definition = statement.starts("create") or statement.starts("alter")
    for index in range(1, len(statement)):
        word = statement.word(index)
        if word not in TRIGGERS or statement.text(index - 1) == ".":
            continue
        if word in ("varchar", "varying", "nvarchar"):
            if statement.text(index + 1) == "(" and statement.word(index + 2) == "max":
                yield statement.replace(index + 1, index + 4, _MAX_VARCHAR)
            if word == "nvarchar":
                yield statement.replace(index, index + 1, "varchar")
            continue
        if not _stands_as_type(statement, index, is_definition):
            continue
        if word in _REFUSED:
            raise unsupported(f"The type {word.upper()}")
        if word == "super":
            yield statement.replace(index, index + 1, "jsonb")
        else:
            has_length = statement.text(index + 1) == "("
            yield statement.replace(index, statement.closing(index + 1) + 1 if has_length else index + 1, "bytea")


def _stands_as_type(statement: Statement, index: int, is_definition: bool) -> bool:
    previous = statement.text(index - 1)
    if previous == "::":
        return True
    if statement.word(index - 1) == "as":
        # `cast(x as super)`, not the alias of `select x as super`.
        return statement.text(index + 1) == ")" or statement.text(index + 1) == "("
    if not is_definition or not statement.is_identifier(index - 1):
        return False
    before_name = statement.text(index - 2)
    return (
        before_name in ("(", ",")
        or statement.word(index - 2) in ("column", "type", "add")
        or (statement.word(index - 1) in ("type", "returns"))
    )
