"""QUALIFY: a filter on window functions, written as a filter on a derived table."""

from collections.abc import Iterator

from datalake_assets.sandbox.redshift.refusals import quoted_identifier, unsupported
from datalake_assets.sandbox.redshift.tokens import Edit, Statement

TRIGGERS = frozenset({"qualify"})
_AFTER = ("order", "limit", "offset", "union", "intersect", "except", "minus", "window")
_CLAUSES = ("where", "group", "having", "qualify", "window", *_AFTER)


def edits(statement: Statement) -> Iterator[Edit]:
    """Rewrite the last QUALIFY of the text; one inside another comes later in the text."""
    for index in reversed(range(1, len(statement))):
        if statement.word(index) == "qualify" and statement.text(index - 1) not in (".", ",", "("):
            yield from _rewritten(statement, index)
            return


def _rewritten(statement: Statement, qualify: int) -> Iterator[Edit]:
    select = _back_to(statement, qualify, ("select",))
    from_ = _forward_to(statement, select + 1, ("from",), qualify)
    end = _forward_to(statement, qualify + 1, _AFTER, len(statement))
    condition = statement.span(qualify + 1, end)
    uses_window = any(statement.word(index) == "over" for index in range(qualify + 1, end))
    body = statement.span(select, qualify)
    if not uses_window:
        # The condition speaks of names in the select list.
        new = f"select * from ({body}\n) as qualify_q where ({condition}\n)"
    elif (names := _output_names(statement, select + 1, from_)) is not None:
        columns = ", ".join(f"qualify_q.{quoted_identifier(name)}" for name in names)
        inner = (
            f"{statement.span(select, from_)}, ({condition}\n) as qualify_condition {statement.span(from_, qualify)}"
        )
        new = f"select {columns} from ({inner}\n) as qualify_q where qualify_q.qualify_condition"
    else:
        row = _single_relation(statement, select, from_, qualify)
        inner = f"select {row} as qualify_row, ({condition}\n) as qualify_condition {statement.span(from_, qualify)}"
        new = f"select (qualify_q.qualify_row).* from ({inner}\n) as qualify_q where qualify_q.qualify_condition"
    yield statement.replace(select, end, new)


def _back_to(statement: Statement, index: int, words: tuple[str, ...]) -> int:
    depth = 0
    while index >= 0:
        text = statement.text(index)
        depth += (text == ")") - (text == "(")
        if depth < 0:
            break
        if depth == 0 and statement.word(index) in words:
            return index
        index -= 1
    raise unsupported("QUALIFY without its SELECT")


def _forward_to(statement: Statement, index: int, words: tuple[str, ...], end: int) -> int:
    depth = 0
    while index < end:
        text = statement.text(index)
        depth += (text == "(") - (text == ")")
        if depth < 0 or (depth == 0 and (statement.word(index) in words or text == ";")):
            return index
        index += 1
    return end


def _output_names(statement: Statement, first: int, end: int) -> list[str] | None:
    """The names of the select list, or None if one of its items is a star or has no name."""
    if statement.word(first) in ("distinct", "all"):
        raise unsupported("QUALIFY in a SELECT DISTINCT")
    names: list[str] = []
    depth, start = 0, first
    for index in range(first, end + 1):
        text = statement.text(index)
        if index == end or (text == "," and depth == 0):
            last = index - 1
            has_name = statement.is_identifier(last) and statement.word(last) not in ("end", "null", "true", "false")
            is_name = last == start or statement.text(last - 1) == "." or statement.word(last - 1) == "as"
            is_alias = last > start and statement.text(last - 1) not in ("::", "+", "-", "*", "/", "||", "=", "<", ">")
            if not has_name or not (is_name or is_alias):
                return None
            names.append(statement.tokens[last].name)
            start = index + 1
        depth += (text == "(") - (text == ")")
    return names


def _single_relation(statement: Statement, select: int, from_: int, qualify: int) -> str:
    """The name of the only relation of the FROM clause, for `SELECT *` with a window in its QUALIFY."""
    refused = unsupported(
        "QUALIFY with an unnamed column or a join under SELECT *", hint="Name the columns of the select list."
    )
    is_star = from_ == select + 2 and statement.text(select + 1) == "*"
    end = _forward_to(statement, from_ + 1, _CLAUSES, qualify)
    if not is_star or any(statement.text(index) == "," for index in _top_level(statement, from_ + 1, end)):
        raise refused
    if any(statement.word(index) == "join" for index in _top_level(statement, from_ + 1, end)):
        raise refused
    last = end - 1
    if statement.text(last) == ")":
        # The columns of an alias, `as v(a, b)`: the name stands before the bracket.
        last = max(index for index in range(from_, last) if statement.text(index) == "(") - 1
    if last <= from_ or not statement.is_identifier(last):
        raise refused
    return quoted_identifier(statement.tokens[last].name)


def _top_level(statement: Statement, first: int, end: int) -> Iterator[int]:
    depth = 0
    for index in range(first, end):
        text = statement.text(index)
        depth += (text == "(") - (text == ")")
        if depth == 0:
            yield index
