"""EXTRACT(part FROM x): an integer on Redshift, a numeric on PostgreSQL, where division would have a fraction."""

from collections.abc import Iterator

from datalake_assets.sandbox.redshift.rules.date_parts import DATE_PARTS
from datalake_assets.sandbox.redshift.tokens import Edit, Statement

TRIGGERS = frozenset({"extract"})
_NOT_INTEGER = ("epoch", "millisecond", "microsecond", "second")
_POSTGRES_PARTS = {"dayofweek": "dow", "dayofyear": "doy"}


def edits(statement: Statement) -> Iterator[Edit]:
    """Cast the integer parts."""
    for index in range(len(statement)):
        if statement.word(index) != "extract" or not statement.is_call(index) or statement.word(index + 3) != "from":
            continue
        part = DATE_PARTS.get(statement.tokens[index + 2].name.lower())
        if part is None:
            continue
        yield statement.replace(index + 2, index + 3, _POSTGRES_PARTS.get(part, part))
        if part not in _NOT_INTEGER:
            yield statement.after(statement.closing(index + 1), "::integer")
        elif part == "second":
            yield statement.after(statement.closing(index + 1), "::double precision")
