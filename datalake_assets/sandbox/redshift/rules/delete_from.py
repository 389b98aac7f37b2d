"""DELETE without FROM."""

from collections.abc import Iterator

from datalake_assets.sandbox.redshift.tokens import Edit, Statement

TRIGGERS = frozenset({"delete"})


def edits(statement: Statement) -> Iterator[Edit]:
    """Put the FROM in."""
    if statement.word(0) == "delete" and statement.word(1) != "from" and statement.is_identifier(1):
        yield statement.after(0, " from")
