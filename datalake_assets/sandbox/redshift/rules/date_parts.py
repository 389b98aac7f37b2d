"""Bare date parts of DATEADD, DATEDIFF and their kin: `dateadd(month, 1, x)`."""

from collections.abc import Iterator

from datalake_assets.sandbox.redshift.refusals import Refused
from datalake_assets.sandbox.redshift.tokens import Edit, Kind, Statement

TRIGGERS = frozenset({"dateadd", "date_add", "datediff", "date_diff", "date_part", "datepart", "date_trunc"})
# Every spelling Redshift takes, and the name the SQL functions know.
DATE_PARTS = {
    spelling: name
    for name, spellings in {
        "millennium": "millennium millennia mil mils",
        "century": "century centuries c cent cents",
        "decade": "decade decades dec decs",
        "year": "year years y yr yrs",
        "quarter": "quarter quarters qtr qtrs",
        "month": "month months mon mons",
        "week": "week weeks w",
        "day": "day days d",
        "dayofweek": "dayofweek dow dw weekday",
        "dayofyear": "dayofyear doy dy yearday",
        "hour": "hour hours h hr hrs",
        "minute": "minute minutes m min mins",
        "second": "second seconds s sec secs",
        "millisecond": "millisecond milliseconds ms msec msecs msecond mseconds millisec millisecs millisecon",
        "microsecond": "microsecond microseconds microsec microsecs usecond useconds us usec usecs",
        "epoch": "epoch",
    }.items()
    for spelling in spellings.split()
}
# PostgreSQL's date_part knows two of them by other names.
_POSTGRES_PARTS = {"dayofweek": "dow", "dayofyear": "doy"}


def edits(statement: Statement) -> Iterator[Edit]:
    """Quote the date part, in its long form."""
    for index in range(len(statement)):
        word = statement.word(index)
        if word not in TRIGGERS or not statement.is_call(index):
            continue
        arguments = statement.arguments(index + 1)
        if len(arguments) < 2:
            continue
        first, end = arguments[0]
        is_part = end == first + 1 and statement.tokens[first].kind in (Kind.WORD, Kind.QUOTED, Kind.STRING)
        if is_part:
            token = statement.tokens[first]
            spelled = token.text[1:-1].lower() if token.kind is Kind.STRING else token.name.lower()
            name = DATE_PARTS.get(spelled)
            if name is None and token.kind is Kind.WORD:
                raise Refused(
                    "22023", f'"{spelled}" is not a date part', hint=f"in {word}({statement.span(first, end)}, …)"
                )
            if name is not None:
                if word in ("date_part", "datepart", "date_trunc"):
                    name = _POSTGRES_PARTS.get(name, name)
                yield statement.replace(first, end, f"'{name}'")
        if word == "datepart":
            yield statement.replace(index, index + 1, "date_part")
