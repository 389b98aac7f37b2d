"""APPROXIMATE COUNT(DISTINCT x) and APPROXIMATE PERCENTILE_DISC: exact here."""

from collections.abc import Iterator

from datalake_assets.sandbox.redshift.tokens import Edit, Statement

TRIGGERS = frozenset({"approximate"})


def edits(statement: Statement) -> Iterator[Edit]:
    """Take the word off."""
    for index in range(len(statement)):
        if statement.word(index) == "approximate" and statement.word(index + 1) in ("count", "percentile_disc"):
            yield statement.replace(index, index + 1, "")
