"""IDENTITY(seed, step) of a column."""

from collections.abc import Iterator

from datalake_assets.sandbox.redshift.tokens import Edit, Statement

TRIGGERS = frozenset({"identity"})


def edits(statement: Statement) -> Iterator[Edit]:
    """Write identity columns as PostgreSQL does; `DEFAULT IDENTITY` takes explicit values, as on Redshift."""
    if not (statement.starts("create") or statement.starts("alter", "table")):
        return
    for index in range(1, len(statement)):
        if statement.word(index) != "identity" or statement.text(index + 1) != "(":
            continue
        arguments = [statement.span(first, end) for first, end in statement.arguments(index + 1)]
        if len(arguments) != 2 or statement.text(index - 1) in ("(", ","):
            continue
        seed, step = arguments
        first = index
        kind = "by default"
        if statement.starts("generated", "by", "default", "as", at=index - 4):
            first = index - 4
        elif statement.word(index - 1) == "default":
            first = index - 1
        else:
            kind = "always"
        # Sequences of PostgreSQL refuse a start below their minimum, and Redshift's usual seed is 0.
        sequence = f"minvalue {seed} start with {seed} increment by {step}"
        if step.startswith("-"):
            sequence = f"maxvalue {seed} start with {seed} increment by {step}"
        yield statement.replace(first, statement.closing(index + 1) + 1, f"generated {kind} as identity ({sequence})")
