"""DISTSTYLE, DISTKEY, SORTKEY, ENCODE, BACKUP, AUTO REFRESH: how Redshift stores a table, and PostgreSQL does not."""

from collections.abc import Iterator

from datalake_assets.sandbox.redshift.tokens import Edit, Statement

TRIGGERS = frozenset({"create", "alter"})
_STYLES = ("even", "all", "key", "auto")
_ATTRIBUTES = frozenset({"diststyle", "distkey", "sortkey", "encode", "backup", "auto", "compound", "interleaved"})


def edits(statement: Statement) -> Iterator[Edit]:
    """Take the attributes out of CREATE TABLE, CREATE TABLE AS, CREATE MATERIALIZED VIEW and ADD COLUMN."""
    if not statement.words & _ATTRIBUTES:
        return
    start, end = _definition(statement)
    index = start
    while index < end:
        stop = _attribute_end(statement, index)
        if stop > index:
            yield statement.replace(index, stop, "")
            index = stop
        else:
            index += 1


def _definition(statement: Statement) -> tuple[int, int]:
    """The tokens that may hold attributes: everything before the query of a CREATE … AS."""
    if statement.starts("alter", "table"):
        return 2, len(statement)
    kinds = {statement.word(index) for index in range(1, min(5, len(statement)))}
    if not statement.starts("create") or not kinds & {"table", "materialized"} or "external" in kinds:
        return 0, 0
    depth = 0
    for index in range(len(statement)):
        text = statement.text(index)
        depth += (text == "(") - (text == ")")
        if depth == 0 and statement.word(index) == "as":
            return 1, index
    return 1, len(statement)


def _attribute_end(statement: Statement, index: int) -> int:
    """Where the attribute at `index` ends, or `index` if none stands there."""
    word = statement.word(index)
    previous, following = statement.text(index - 1), statement.text(index + 1)
    # A column may be called `backup` or `auto`: a column's name follows a bracket or a comma.
    if word not in _ATTRIBUTES or previous in ("(", ",", "."):
        return index
    if word == "diststyle" and statement.word(index + 1) in _STYLES:
        return index + 2
    if word == "encode" and statement.is_identifier(index + 1):
        return index + 2
    if word == "backup" and statement.word(index + 1) in ("yes", "no"):
        return index + 2
    if statement.starts("auto", "refresh", at=index) and statement.word(index + 2) in ("yes", "no"):
        return index + 3
    if word in ("compound", "interleaved") and statement.word(index + 1) == "sortkey":
        return statement.closing(index + 2) + 1 if statement.text(index + 2) == "(" else index
    if word in ("distkey", "sortkey"):
        if following == "(":
            return statement.closing(index + 1) + 1
        if word == "sortkey" and statement.word(index + 1) in ("auto", "none"):
            return index + 2
        return index + 1
    return index
