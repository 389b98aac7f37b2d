"""Logs as records: lines taken apart by a grok pattern, those of a stack trace kept with the line they belong to."""

import re
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.errors import EmptyObject, UnreadableObject
from datalake_assets.formats.batches import FlatRecord, flat_batches
from datalake_assets.formats.bytes import text_chunks
from datalake_assets.formats.encoding import is_decodable
from datalake_assets.formats.grok import MAX_LINE_CHARACTERS, compile_grok
from datalake_assets.formats.known_logs import KNOWN_LOGS
from datalake_assets.formats.lines import Line, numbered_lines, shown

if TYPE_CHECKING:
    import pyarrow as pa

    from datalake_assets.formats.source_format import SourceFormat

# Lines of the beginning, none of which matches when the file is no such log at all.
_LINES_LOOKED_AT = 50
_MIN_LINES_TO_JUDGE = 5
_MAX_CONTINUED_CHARACTERS = 1024 * 1024
_CONTINUATION = re.compile(
    r"\s|Caused by:|Suppressed:|at [\w$.<>]+\(|\.\.\. \d+ (?:more|common)|Traceback \(most recent"
    r"|[A-Za-z_][\w$]*(?:\.[A-Za-z_$][\w$]*)+(?:Exception|Error|Throwable)\b|[A-Z]\w*(?:Error|Exception)(?::|$)"
)
_FIELDS = "#Fields:"

Values = tuple[str | None, ...]


class LogFormat:
    """How the lines of a log are taken apart; `names` are its columns, `types` those that its pattern declares."""

    def __init__(
        self,
        names: tuple[str, ...],
        types: dict[str, str],
        values: Callable[[str], Values | None],
        *,
        open_end: int | None = None,
        continues: str = "indented",
        is_comment: Callable[[str], bool] | None = None,
    ) -> None:
        self.names = names
        self.types = types
        self.values = values
        self._open_end = open_end
        self._continues = continues
        self.is_comment = is_comment

    @property
    def open_end(self) -> int | None:
        """The column that lines of the same record are added to."""
        return self._open_end

    def belongs_to_the_record_before(self, line: str) -> bool:
        """Whether a line that does not match goes on with the record before."""
        if self._open_end is None:
            return False
        return self._continues == "any" or looks_continued(line)


def looks_continued(line: str) -> bool:
    """Whether a line is indented or begins as one of a stack trace does."""
    return _CONTINUATION.match(line) is not None


def log_format(source: "SourceFormat", head: str, *, where: str | None = None) -> LogFormat:
    """How a log is read.

    Args:
        head: the beginning of a file, for logs that name their fields in it.

    Raises:
        ConfigurationError: a broken pattern.
        UnreadableObject: the file names no fields though this log should.
    """
    known = KNOWN_LOGS.get(source.pattern or "")
    if known is not None and known.delimiter:
        return _with_fields(known.delimiter, head, where)
    grok = compile_grok(known.pattern if known else source.pattern or "", source.patterns, where=where)
    continues = known.continues if known else "indented"
    return LogFormat(grok.names, grok.types, grok.values, open_end=grok.open_end, continues=continues)


def _with_fields(delimiter: str, head: str, where: str | None) -> LogFormat:
    line = next((line for line in head.splitlines()[:_LINES_LOOKED_AT] if line.startswith(_FIELDS)), None)
    if line is None:
        raise UnreadableObject("no `#Fields:` line names the fields of the log", where=where)
    names = tuple(line[len(_FIELDS) :].split())

    def values(text: str) -> Values | None:
        found = text.split(delimiter)
        return tuple(found) if len(found) == len(names) else None

    return LogFormat(names, {}, values, is_comment=lambda text: text.startswith("#"))


def open_log(path: Path, source: "SourceFormat", *, uri: str) -> "LogFile":
    """Open a log.

    Raises:
        ConfigurationError: a broken pattern.
        EmptyObject: nothing but blank lines.
        UnreadableObject: broken bytes, or no line of the beginning matches the pattern.
    """
    if path.stat().st_size == 0:
        raise EmptyObject("the object has zero bytes", where=uri)
    chunks = text_chunks(path, source, uri, errors="surrogateescape")
    held = []
    for chunk in chunks:
        held.append(chunk)
        if chunk.strip():
            break
    else:
        raise EmptyObject("the object holds nothing but blank lines", where=uri)
    while sum(map(len, held)) < MAX_LINE_CHARACTERS and (more := next(chunks, "")):
        held.append(more)
    head = "".join(held)
    how = log_format(source, head, where=uri)
    lines = [line.rstrip("\r") for line in head.split("\n", _LINES_LOOKED_AT)[:_LINES_LOOKED_AT] if line.strip()]
    if len(lines) >= _MIN_LINES_TO_JUDGE and not any(how.values(line) for line in lines if len(line) < len(head)):
        raise UnreadableObject(
            f"none of its first {len(lines)} lines matches the pattern",
            where=uri,
            expected=f"lines of {source.pattern}",
            todo="Set source.pattern to the format of the files.",
        )
    return LogFile(chain([head], chunks), how)


class LogFile:
    """One log; `names` are the captures of its pattern."""

    def __init__(self, chunks: Iterator[str], how: LogFormat) -> None:
        self._chunks = chunks
        self._how = how
        self.names: tuple[str, ...] | None = how.names
        self.types = how.types

    def batches(self) -> Iterator["pa.RecordBatch"]:
        """The records; `row` is the line on which one begins."""
        return flat_batches(self.records(), len(self._how.names))

    def records(self) -> Iterator[FlatRecord]:
        """The records without Arrow."""
        return log_records(numbered_lines(self._chunks, limit=MAX_LINE_CHARACTERS), self._how)


def log_records(lines: Iterator[Line], how: LogFormat) -> Iterator[FlatRecord]:
    """Take lines apart; what does not match goes to the record before, or is a broken record."""
    row = 0
    pending: Values | None = None
    more: list[str] = []
    size = 0
    for number, line, is_cut in lines:
        if is_cut:
            if pending is not None:
                yield _record(row, pending, more, how)
                pending, more = None, []
            yield FlatRecord(number, f"is longer than {MAX_LINE_CHARACTERS >> 10} kB", shown(line), ())
            continue
        values = how.values(line)
        if values is not None and not (how.is_comment and how.is_comment(line)):
            if pending is not None:
                yield _record(row, pending, more, how)
            if line.isascii() or is_decodable(line):
                row, pending, more, size = number, values, [], 0
                continue
            pending, more = None, []
            yield FlatRecord(number, "holds bytes that are no text in the encoding of the file", shown(line), ())
        elif not line.strip() or (how.is_comment and how.is_comment(line)):
            continue
        elif pending is not None and how.belongs_to_the_record_before(line) and size < _MAX_CONTINUED_CHARACTERS:
            more.append(line)
            size += len(line)
        else:
            if pending is not None:
                yield _record(row, pending, more, how)
                pending, more = None, []
            yield FlatRecord(number, "does not match the pattern", shown(line), ())
    if pending is not None:
        yield _record(row, pending, more, how)


def _record(row: int, values: Values, more: list[str], how: LogFormat) -> FlatRecord:
    if not more or how.open_end is None:
        return FlatRecord(row, None, None, values)
    text = shown("\n".join([values[how.open_end] or "", *more]))
    return FlatRecord(row, None, None, (*values[: how.open_end], text, *values[how.open_end + 1 :]))
