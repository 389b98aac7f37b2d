"""DECODE(expression, search, result, …, default): a CASE in which null finds null."""

from collections.abc import Iterator

from datalake_assets.sandbox.redshift.tokens import Edit, Statement

TRIGGERS = frozenset({"decode"})


def edits(statement: Statement) -> Iterator[Edit]:
    """Rewrite the first DECODE that holds no other; with two arguments it is PostgreSQL's own function."""
    for index in range(len(statement)):
        if not _is_decode(statement, index):
            continue
        close = statement.closing(index + 1)
        if any(_is_decode(statement, inner) for inner in range(index + 1, close)):
            continue
        expression, *rest = [statement.span(first, end) for first, end in statement.arguments(index + 1)]
        branches = []
        while len(rest) >= 2:
            search, result, *rest = rest
            comparison = f"({expression}\n) is null" if search.lower() == "null" else None
            comparison = comparison or f"({expression}\n) is not distinct from ({search}\n)"
            branches.append(f"when {comparison} then ({result}\n)")
        default = f" else ({rest[0]}\n)" if rest else ""
        yield statement.replace(index, close + 1, f"(case {' '.join(branches)}{default} end)")
        return


def _is_decode(statement: Statement, index: int) -> bool:
    return statement.word(index) == "decode" and statement.is_call(index) and len(statement.arguments(index + 1)) >= 3
