"""Functions that PostgreSQL has under another name, with another meaning, or as syntax."""

from collections.abc import Iterator

from datalake_assets.sandbox.redshift.tokens import Edit, Statement

_RENAMED = {
    "nvl": "coalesce",
    "isnull": "coalesce",
    # PostgreSQL's own mean something else: see sql/overrides.sql.
    "avg": "redshift_compat.avg",
    "regexp_replace": "redshift_compat.regexp_replace",
    "regexp_substr": "redshift_compat.regexp_substr",
    "version": "redshift_compat.version",
    "array": "redshift_compat.array_of",
}
_BARE = {"sysdate": "pg_catalog.sysdate()"}
TRIGGERS = frozenset({"nvl2", *_RENAMED, *_BARE})


def edits(statement: Statement) -> Iterator[Edit]:
    """Rename calls, and write NVL2 as the CASE it stands for."""
    for index in range(len(statement)):
        word = statement.word(index)
        if word in _BARE and _stands_alone(statement, index):
            yield statement.replace(index, index + 1, _BARE[word])
        elif word in TRIGGERS and statement.text(index + 1) == "(" and statement.text(index - 1) != ".":
            if word == "nvl2":
                yield from _nvl2(statement, index)
            elif word in _RENAMED and not _is_definition(statement, index) and not _is_subquery(statement, index):
                yield statement.replace(index, index + 1, _RENAMED[word])


def _is_definition(statement: Statement, index: int) -> bool:
    return statement.word(index - 1) in ("function", "procedure", "into", "table", "exists", "with", "view", "replace")


def _is_subquery(statement: Statement, index: int) -> bool:
    return statement.word(index + 2) in ("select", "with")  # `array(select …)` is syntax


def _stands_alone(statement: Statement, index: int) -> bool:
    if statement.text(index - 1) == "." or statement.text(index + 1) in (".", "("):
        return False
    return statement.word(index - 1) not in ("as", "column")


def _nvl2(statement: Statement, index: int) -> Iterator[Edit]:
    arguments = statement.arguments(index + 1)
    if len(arguments) != 3:
        return
    close = statement.closing(index + 1)
    yield statement.replace(index, index + 2, "(case when (")
    yield statement.replace(arguments[0][1], arguments[0][1] + 1, ") is not null then (")
    yield statement.replace(arguments[1][1], arguments[1][1] + 1, ") else (")
    yield statement.replace(close, close + 1, ") end)")
