"""Find out how a delimited text is written: first the dialect, then the header, then what follows the data."""

from dataclasses import dataclass, field, replace

from datalake_assets.discovery.classifiers.csv_header import Layout, find_layout
from datalake_assets.discovery.classifiers.csv_score import Scored, best_dialects, scored_lines, single_column
from datalake_assets.formats.delimited.csv_block import RowBlock
from datalake_assets.formats.delimited.csv_fields import Dialect
from datalake_assets.formats.delimited.csv_footer import MAX_FOOTER_ROWS, footer_rows
from datalake_assets.formats.delimited.csv_kinds import COMMENT, TYPED, Column, columns_of
from datalake_assets.formats.delimited.csv_lines import LineBlock, is_blank, line_end_of
from datalake_assets.formats.delimited.csv_records import MAX_COLUMNS, table_of
from datalake_assets.formats.delimited.csv_rows import RowReader, split_at_other_ends
from datalake_assets.formats.delimited.csv_tables import first_table
from datalake_assets.formats.source_format import MAX_SKIPPED_LINES, SourceFormat

MIN_CERTAINTY = 0.2
PROSE_QUALITY = 0.62  # of a text in which no column holds anything but texts
SYSTEMATIC_SHARE = 0.05  # of rows that are short or long, from which on that is no mistake of single rows
# What terminals, old systems and other delimiters use is no sign of binary data.
_CONTROL = dict.fromkeys(set(range(32)) - set(b"\t\r\n\f\v\b\x1a\x1b\x1c\x1d\x1e\x1f\x01\x02\x03"))
MAX_CONTROL_SHARE = 0.005


@dataclass(frozen=True)
class CsvFinding:
    """How a delimited text is written.

    `names` are what its columns are called when it is read with `source`. `certainty` is from 0 to 1; `details` says
    that of each step ("dialect", "header", "types"); `reason` is a sentence for people.
    """

    source: SourceFormat
    names: tuple[str, ...]
    certainty: float
    details: dict[str, float] = field(default_factory=dict)
    reason: str = ""


def find_csv(text: str, *, is_complete: bool, encoding: str = "utf-8") -> CsvFinding | None:
    """Find out how a text is written, if it is a delimited one.

    Args:
        text: the decoded beginning of a file, up to about a million characters.
        is_complete: whether it is the whole file; otherwise the last line is not looked at, and no footer is found.
        encoding: what the text was decoded from; it goes into the finding.

    Returns:
        None for a text without lines, a binary one, JSON lines, XML and prose.
    """
    text = text.removeprefix("\ufeff")
    head = text[:65_536]
    if not text or len(head) - len(head.translate(_CONTROL)) > MAX_CONTROL_SHARE * len(head):
        return None
    end = line_end_of(text)
    lines = text.split(end)
    if not lines[-1] or (not is_complete and len(lines) > 1):
        lines.pop()
    sample = scored_lines([line for line in split_at_other_ends(lines) if line])
    if not sample or _is_markup(sample):
        return None
    candidates = [scored for scored in best_dialects(sample) if scored.score > 0]
    single = single_column(sample)
    best = candidates[0] if candidates and candidates[0].score > single.score else single
    dialect_certainty = _dialect_certainty(best, candidates, single)
    if dialect_certainty < MIN_CERTAINTY or best.width > MAX_COLUMNS:
        return None
    return _finding(lines, end, best, dialect_certainty, is_complete=is_complete, encoding=encoding)


def _is_markup(lines: list[str]) -> bool:
    """Whether lines are JSON objects or XML elements: they have commas and quotes too."""
    bounds = [(line.strip()[:1], line.strip().rstrip(",")[-1:]) for line in lines]
    return sum(pair in (("{", "}"), ("<", ">")) for pair in bounds) > 0.8 * len(bounds)


def _dialect_certainty(best: Scored, candidates: list[Scored], single: Scored) -> float:
    """How far the best candidate is ahead of the second, and how well it does by itself."""
    if best is single:
        # Texts of one column are hard to tell from prose; numbers, dates and single words are not.
        return 0.5 * best.quality if best.quality > 0.7 else 0.15
    others = [scored.score for scored in candidates if scored is not best]
    second = max([*others, single.score])
    ahead = min(1.0, (best.score - second) / (0.3 * best.score))
    mended = 1 - 0.3 * min(1.0, best.strays / max(1, best.rows))
    few = 1.0 if best.rows > 2 else 0.75
    return round(min(0.99, (0.35 + 0.65 * best.consistency) * (0.6 + 0.4 * ahead) * mended * few), 3)


def _finding(
    lines: list[str], end: str, best: Scored, certainty: float, *, is_complete: bool, encoding: str
) -> CsvFinding | None:
    dialect = best.dialect
    width = best.width
    reader = RowReader(iter([LineBlock(1, lines)]), dialect, width=width)
    block = RowBlock()
    for part in reader.blocks():
        block.extend(part)
    if not any(len(row) == width and any(row) for row in block.rows):
        return None
    layout = find_layout(block, width, dialect)
    if reader.other_ends and layout.skip_rows:
        layout = replace(layout, skip_rows=_usual_lines(lines, layout.skip_rows))
    words = _words(dialect, layout, encoding)
    data = block.part(layout.first, len(block.rows))
    header = block.rows[layout.first - layout.header : layout.first]
    told = header[-1] if header else layout.names
    cut = RowBlock()
    for part in first_table(iter([data] if data.rows else []), names=told, width=width):
        cut.extend(part)
    notes = []
    columns = _profile(cut, width)
    rows_after = len(data.rows) - len(cut.rows)
    footer = footer_rows(cut.rows, columns) if (is_complete or rows_after) and not reader.other_ends else 0
    if rows_after:
        words["tables"] = "first"
        notes.append(f"another table begins on line {data.numbers[len(cut.rows)]}")
    if footer:
        first = data.numbers[len(cut.rows) - footer]
        count = _last_line(lines) - first + 1
        if count <= MAX_SKIPPED_LINES and is_complete:
            words.pop("tables", None)
            words["skip_footer"] = count
            notes.append(f"no data from line {first} on")
    kept = cut.rows[: len(cut.rows) - footer]
    words |= _odd_rows(kept, width, header_width=len(told) or width)
    source = SourceFormat(**words)
    table = table_of(iter([end.join([*lines, ""])]), source, uri="")
    if table is None:
        return None
    types = _typed_share(columns)
    if table.width == 1 < width and not types:
        return None  # sentences or statements that end with the same mark
    if not types and layout.header == 0 and best.quality <= PROSE_QUALITY and not _is_quoted(block, dialect):
        certainty /= 2  # it may as well be prose with commas
    details = {"dialect": certainty, "header": round(layout.certainty, 3), "types": types}
    reason = "; ".join([_told(best), layout.reason, *notes])
    return CsvFinding(source, table.names, round(certainty * (0.8 + 0.2 * layout.certainty), 3), details, reason)


def _usual_lines(lines: list[str], count: int) -> int:
    """How many lines that end as most do hold the first `count` lines that end in any way."""
    for index, line in enumerate(lines):
        if count <= 0:
            return index
        count -= len(split_at_other_ends([line]))
    return len(lines)


def _words(dialect: Dialect, layout: Layout, encoding: str) -> dict[str, object]:
    """The words of `source:`; those that say what is the default anyway are left out."""
    words: dict[str, object] = {"format": "csv"}
    if encoding != "utf-8":
        words["encoding"] = encoding
    if dialect.delimiter != ",":
        words["delimiter"] = dialect.delimiter
    if dialect.quote != '"':
        words["quote"] = dialect.quote
    if dialect.has_escape:
        words["escape"] = dialect.escape
    if layout.header != 1:
        words["header"] = layout.header
    if layout.names:
        words["names"] = _unique(layout.names)
    if layout.skip_rows:
        words["skip_rows"] = min(layout.skip_rows, MAX_SKIPPED_LINES)
    return words


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    """`names:` takes no name twice, other than a header."""
    seen: set[str] = set()
    told = []
    for name in names:
        number, unique = 2, name
        while unique in seen:
            unique, number = f"{name}_{number}", number + 1
        seen.add(unique)
        told.append(unique)
    return tuple(told)


def _profile(block: RowBlock, width: int) -> list[Column]:
    """What the columns hold, without the last rows: they may be the footer."""
    count = len(block.rows)
    return columns_of(block.rows[: max(count * 3 // 4, count - MAX_FOOTER_ROWS)][:1_000], width)


def _odd_rows(rows: list[list[str]], width: int, *, header_width: int) -> dict[str, object]:
    """Whether rows with too few or too many fields are how the file is written, not mistakes."""
    if not rows:
        return {}
    words: dict[str, object] = {}
    rows = [row for row in rows if not row[0].lstrip().startswith(COMMENT)] or rows
    wanted = width if header_width < width else header_width
    if sum(len(row) < wanted for row in rows) > max(1, SYSTEMATIC_SHARE * len(rows)):
        words["short_rows"] = "pad"
    if sum(len(row) > wanted for row in rows) > max(1, SYSTEMATIC_SHARE * len(rows)):
        words["long_rows"] = "rescue"
    return words


def _is_quoted(block: RowBlock, dialect: Dialect) -> bool:
    """Whether values stand in quotes because of the delimiters in them: nobody does that in prose."""
    quoted = sum(any(dialect.delimiter in cell for cell in row) for row in block.rows)
    return quoted > SYSTEMATIC_SHARE * len(block.rows)


def _typed_share(columns: list[Column]) -> float:
    held = [column for column in columns if column.filled]
    return round(sum(column.main in TYPED for column in held) / len(held), 3) if held else 0.0


def _last_line(lines: list[str]) -> int:
    count = len(lines)
    while count and is_blank(lines[count - 1]):
        count -= 1
    return count


_CALLED = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "spaces", ":": "colons"}


def _told(best: Scored) -> str:
    if best.width == 1:
        return "one column without a delimiter"
    called = _CALLED.get(best.dialect.delimiter, repr(best.dialect.delimiter))
    return f"{best.width} fields told apart by {called} in {best.consistency:.0%} of the lines"
