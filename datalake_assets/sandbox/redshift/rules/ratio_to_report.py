"""RATIO_TO_REPORT(x) OVER (…): x divided by the sum of its window."""

from collections.abc import Iterator

from datalake_assets.sandbox.redshift.tokens import Edit, Statement

TRIGGERS = frozenset({"ratio_to_report"})


def edits(statement: Statement) -> Iterator[Edit]:
    """Rewrite the first call."""
    for index in range(len(statement)):
        if statement.word(index) != "ratio_to_report" or not statement.is_call(index):
            continue
        close = statement.closing(index + 1)
        if statement.word(close + 1) != "over" or statement.text(close + 2) != "(":
            continue
        value = statement.span(index + 2, close)
        window = statement.span(close + 2, statement.closing(close + 2) + 1)
        text = f"(({value}\n)::double precision / nullif(sum({value}\n) over {window}, 0)::double precision)"
        yield statement.replace(index, statement.closing(close + 2) + 1, text)
        return
