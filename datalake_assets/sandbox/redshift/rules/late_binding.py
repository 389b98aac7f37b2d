"""WITH NO SCHEMA BINDING: the view is made as an ordinary one; docs/redshift-gateway.md names the difference."""

from collections.abc import Iterator

from datalake_assets.sandbox.redshift.tokens import Edit, Statement

TRIGGERS = frozenset({"binding"})


def edits(statement: Statement) -> Iterator[Edit]:
    """Take the clause off the end of CREATE VIEW."""
    end = len(statement) - (statement.text(len(statement) - 1) == ";")
    if statement.starts("create") and statement.starts("with", "no", "schema", "binding", at=end - 4):
        yield statement.replace(end - 4, end, "")
