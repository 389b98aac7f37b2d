"""`#name`: a temporary table."""

from collections.abc import Iterator

from datalake_assets.sandbox.redshift.refusals import quoted_identifier
from datalake_assets.sandbox.redshift.tokens import Edit, Kind, Statement, words

TRIGGERS: frozenset[str] = frozenset()
_OPERAND_KINDS = (Kind.NUMBER, Kind.QUOTED, Kind.STRING, Kind.PARAMETER, Kind.HASH_NAME, Kind.DOLLAR)
_BEFORE_NAMES = words(
    "table exists delete from join into update truncate on copy vacuum analyze lock using like append only to"
)


def edits(statement: Statement) -> Iterator[Edit]:
    """Quote the name, and make CREATE TABLE #name temporary; `a # b` stays the operator."""
    for index, token in enumerate(statement.tokens):
        if token.kind is not Kind.HASH_NAME or not _stands_as_name(statement, index):
            continue
        yield statement.replace(index, index + 1, quoted_identifier(token.text.lower()))
        if statement.starts("create", "table") and index in (2, 5) and statement.word(index - 1) in ("table", "exists"):
            yield statement.after(0, " temporary")
        if statement.word(index - 1) == "into" and statement.word(0) in ("select", "with"):
            yield statement.before(index, "temporary ")


def _stands_as_name(statement: Statement, index: int) -> bool:
    if index == 0:
        return False
    previous = statement.tokens[index - 1]
    if previous.word:
        return previous.word in _BEFORE_NAMES or statement.text(index + 1) == "."
    return previous.kind not in _OPERAND_KINDS and previous.text not in (")", "]")
