"""GRANT and REVOKE: `ROLE name` and `USER name` name a grantee; PostgreSQL has roles only."""

from collections.abc import Iterator

from datalake_assets.sandbox.redshift.tokens import Edit, Statement

TRIGGERS = frozenset({"grant", "revoke"})


def edits(statement: Statement) -> Iterator[Edit]:
    """Take the word ROLE or USER off before a grantee; GROUP is PostgreSQL's too."""
    if statement.word(0) not in TRIGGERS:
        return
    is_grantee = False
    for index in range(1, len(statement)):
        word = statement.word(index)
        if word == ("to" if statement.word(0) == "grant" else "from"):
            is_grantee = True
        elif is_grantee and word in ("role", "user") and statement.is_identifier(index + 1):
            yield statement.replace(index, index + 1, "")
    if statement.word(1) == "role" and statement.is_identifier(2):
        yield statement.replace(1, 2, "")
