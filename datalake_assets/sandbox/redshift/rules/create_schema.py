"""CREATE, DROP and ALTER SCHEMA with the database before the schema's name."""

from collections.abc import Iterator

from datalake_assets.sandbox.redshift.tokens import Edit, Statement

TRIGGERS = frozenset({"schema"})


def edits(statement: Statement) -> Iterator[Edit]:
    """Take `"database".` off, and a QUOTA, which nothing here enforces."""
    if statement.word(0) not in ("create", "drop", "alter") or statement.word(1) != "schema":
        return
    index = 2
    while statement.word(index) in ("if", "not", "exists") and statement.text(index + 1) != ".":
        index += 1
    parts, end = statement.qualified_name(index)
    if len(parts) == 2:
        yield statement.replace(index, index + 2, "")
    for index in range(end, len(statement)):
        if statement.word(index) == "quota":
            stop = index + 2 if statement.word(index + 1) == "unlimited" else index + 3
            yield statement.replace(index, min(stop, len(statement)), "")
