"""VACUUM, ANALYZE and ALTER TABLE of storage attributes."""

from collections.abc import Iterator

from datalake_assets.sandbox.redshift.refusals import Refused, literal
from datalake_assets.sandbox.redshift.tokens import Edit, Statement

TRIGGERS = frozenset({"vacuum", "analyze", "analyse"})
_VACUUM_KINDS = ("full", "sort", "delete", "only", "reindex", "recluster")


def edits(statement: Statement) -> Iterator[Edit]:
    """Keep what PostgreSQL does too: it also refuses VACUUM inside a transaction (25001)."""
    if statement.word(0) == "vacuum":
        yield from _vacuum(statement)
    elif statement.word(0) in ("analyze", "analyse"):
        yield from _analyze(statement)


def _vacuum(statement: Statement) -> Iterator[Edit]:
    index = 1
    while statement.word(index) in _VACUUM_KINDS:
        index += 1
    if index > 1:
        yield statement.replace(1, index, "")
    _, end = statement.qualified_name(index) if statement.word(index) not in ("to", "boost") else ([], index)
    last = len(statement) - (statement.text(len(statement) - 1) == ";")
    if end < last:
        # TO n PERCENT, BOOST
        yield statement.replace(end, last, "")


def _analyze(statement: Statement) -> Iterator[Edit]:
    if statement.word(1) == "compression":
        parts, end = statement.qualified_name(2)
        if not parts:
            raise Refused("42601", "ANALYZE COMPRESSION needs a table's name")
        table = literal(statement.span(2, end))
        query = f"select * from redshift_compat.analyze_compression({table})"
        yield statement.replace(0, len(statement), query)
        return
    for index in range(1, len(statement) - 1):
        if statement.word(index) in ("predicate", "all") and statement.word(index + 1) == "columns":
            yield statement.replace(index, index + 2, "")
