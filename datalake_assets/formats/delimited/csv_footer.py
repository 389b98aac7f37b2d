"""Find the lines behind the last row of data: totals, notes, sources."""

import re
from collections.abc import Sequence

from datalake_assets.formats.delimited.csv_kinds import NUMERIC, TYPED, Column, kind_of

MAX_FOOTER_ROWS = 30
MIN_PROFILED_ROWS = 3
_TOTAL = re.compile(
    r"\W*(?:(?:grand|sub|overall)?[\s-]*totals?|sum(?:me)?|gesamt(?:summe)?|summe|average|mean|mittelwert|durchschnitt"
    r"|count|number of (?:rows|records)|rows?|records?|end of (?:file|report|data)|eof)\b.*",
    re.IGNORECASE | re.DOTALL,
)
_NOTE = re.compile(
    r"\s*(?:[#*†‡]|--|//|\(\d+\)|\[\d+\]|(?:source|note|notes|quelle|hinweis|copyright|©)\b)", re.IGNORECASE
)


def footer_rows(rows: Sequence[Sequence[str]], columns: Sequence[Column]) -> int:
    """How many of the last rows are no data.

    Seen from the end, a row belongs to the footer if it has no value at all; or only one, in its first two cells, which
    is no such value as its column holds, in a table whose rows usually have more; or if it is a total: it begins with
    such a word where the column holds something else, or leaves empty what no row of data does.

    Args:
        rows: the last rows, in order.
        columns: what the rows of data look like.
    """
    if len(columns) < 2 or sum(columns[0].kinds.values()) < MIN_PROFILED_ROWS:
        return 0
    usual = sum(column.filled for column in columns) / max(1, sum(columns[0].kinds.values()))
    footer = 0
    for count, row in enumerate(reversed(rows[-MAX_FOOTER_ROWS:]), 1):
        if is_footer(row, columns, usual):
            footer = count
        elif any(cell.strip() for cell in row):
            break
    return footer


def is_footer(row: Sequence[str], columns: Sequence[Column], usual: float) -> bool:
    """Whether a row at the end of a table is no data; `usual` is how many cells of a row have a value."""
    filled = [index for index, cell in enumerate(row) if cell.strip()]
    if not filled:
        return True
    width = len(columns)
    # Columns that are never empty in the rows of data.
    always = [index for index, column in enumerate(columns) if not column.kinds["empty"]]
    empty = [index for index in always if index >= len(row) or not row[index].strip()]
    first = row[filled[0]].strip()
    if filled[0] >= width:
        return False
    others = [index for index in always if index != filled[0]]
    if len(filled) == 1 and _NOTE.match(first) and columns[filled[0]].main in TYPED:
        return not columns[filled[0]].fits(first)
    if len(filled) == 1 and usual >= 2 and filled[0] < 2 and always and not others:
        # Only this one column always has a value: what stands in it must be nothing like that.
        return not columns[filled[0]].fits(first) and len(first) > 2 * columns[filled[0]].longest
    if len(filled) == 1 and usual >= 2 and filled[0] < 2 and len(empty) >= min(2, len(others)) and always:
        return (
            len(row) == 1
            or not columns[filled[0]].fits(first)
            or _NOTE.match(first) is not None
            or _TOTAL.fullmatch(first) is not None
            or len(first) > 2 * columns[filled[0]].longest + 10
        )
    if len(row) == width and _TOTAL.fullmatch(first) and empty:
        return all(kind_of(row[index]) in NUMERIC or kind_of(row[index]) == "empty" for index in filled[1:])
    if len(row) == width and _TOTAL.fullmatch(first) and len(first) < 20:
        return not columns[filled[0]].fits(first)
    return _NOTE.match(first) is not None and len(row) != width and len(empty) >= min(2, len(always)) and bool(always)
