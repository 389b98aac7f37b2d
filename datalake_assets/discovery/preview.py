"""Open an unknown object as rows: the texts as they stand in it, one after the other, never all at once.

    opened = open_rows(found, folder=folder, is_whole=True)
    for block in opened.blocks(): …

What is read differs from what a pipeline does in one point: rows that are too short or too long are rows here, for
somebody who looks at a file wants to see them.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datalake_assets.discovery.classifiers.classification import Classification
from datalake_assets.discovery.sources.objects import FoundObject, download, open_object, sample_of
from datalake_assets.errors import BadInput, EmptyObject, UnreadableObject
from datalake_assets.formats.source_format import SourceFormat

if TYPE_CHECKING:
    import pyarrow as pa

    from datalake_assets.discovery.classifiers.custom import CustomClassifier
    from datalake_assets.formats.delimited.csv_normal import Normalised
    from datalake_assets.formats.delimited.csv_records import Table

# Of a remote object of which the first rows are wanted; more comes when they are not enough.
BEGINNING_BYTES = 8 * 1024 * 1024
_COPY_BYTES = 1024 * 1024
Cells = Sequence[str | None]
MAX_TOLD = 5  # broken records that are named


@dataclass(slots=True)
class Block:
    """Records that follow each other.

    Args:
        numbers: the lines on which they begin, or their numbers in the object, from 1.
        cells: of flat records the texts by position, None where a record has no such field; those beyond the names are
            surplus, of which empty ones at the end are left away.
        texts: of nested records the JSON texts, on one line each.
    """

    numbers: Sequence[int]
    cells: Sequence[Cells] = ()
    texts: Sequence[str] = ()


@dataclass
class OpenedObject:
    """An object that is classified and can be read.

    Args:
        names: of the columns of a flat object; None where each record is a JSON object.
        rest: fetches all of an object of which only the beginning is there; None for a whole one.
        broken: how many records could not be read so far; `first_broken` has line and reason of the first ones.
        normalised: of a delimited file, what became of its rows so far.
    """

    found: FoundObject
    classification: Classification
    source: SourceFormat
    path: Path
    rest: Callable[[], Path] | None = None
    names: tuple[str, ...] | None = None
    broken: int = 0
    first_broken: list[tuple[int, str]] = field(default_factory=list)
    normalised: "Normalised | None" = None
    _opened: Iterator[Block] | None = None

    def open(self) -> None:
        """Begin to read: `names` are known afterwards.

        Raises:
            EmptyObject, UnreadableObject: there is nothing to read, or not what it looked like.
        """
        self.broken, self.first_broken = 0, []
        if self.source.format == "csv":
            # Without the detour over Arrow, whose import takes longer than a small file.
            from datalake_assets.formats.delimited.csv_records import open_table

            table = open_table(self.path, self.source, uri=self.found.uri)
            self.names, self._opened = table.names, self._delimited(table)
            return
        from datalake_assets.formats.records import open_records

        file = open_records(self.path, self.source, uri=self.found.uri)
        self.names = file.names
        self._opened = self._batched(file.batches(), None if file.names is None else len(file.names))

    def blocks(self) -> Iterator[Block]:
        """The records in the order of the object; called again, they come from the start again.

        Raises:
            UnreadableObject: the object breaks off or is damaged; the rows before that came.
        """
        if self._opened is None:
            self.open()
        opened, self._opened = self._opened, None
        assert opened is not None
        if self.rest is None:
            yield from opened
            return
        given = 0
        held: Block | None = None
        with suppress(BadInput):  # a beginning ends in the middle of a record, or of a compressed block
            for block in opened:
                if held is not None:
                    yield held
                    given += len(held.numbers)
                held = block
        # The last block may be cut: all that was not given is read again.
        self.path, self.rest = self.rest(), None
        for block in self.blocks():
            if given < len(block.numbers):
                yield Block(block.numbers[given:], block.cells[given:], block.texts[given:])
            given = max(given - len(block.numbers), 0)

    def _delimited(self, table: "Table") -> Iterator[Block]:
        from datalake_assets.formats.delimited.csv_normal import Normalised, normal_blocks

        width = table.width
        self.normalised = Normalised(table.names)
        for block in normal_blocks(table, self.normalised):
            cells: list[Cells] = list(block.rows)
            if any(size > width for size in map(len, cells)):
                cells = [_without_empty_end(row, width) if len(row) > width else row for row in cells]
            yield Block(block.numbers, cells)

    def _batched(self, batches: "Iterator[pa.RecordBatch]", width: int | None) -> Iterator[Block]:
        for batch in batches:
            yield self._nested(batch) if width is None else self._flat(batch, width)

    def _flat(self, batch: "pa.RecordBatch", width: int) -> Block:
        numbers: list[Any]
        numbers, reasons, extras = (batch.column(name).to_pylist() for name in ("row", "reason", "extra"))
        columns = [batch.column(f"c{at}").to_pylist() for at in range(width)]
        cells: list[Cells] = list(zip(*columns, strict=True)) if columns else [()] * len(numbers)
        for at, extra in enumerate(extras):
            if extra is not None:
                cells[at] = _without_empty_end([*cells[at], *json.loads(extra)], width)
        bad = [at for at, reason in enumerate(reasons) if reason is not None]
        for at in bad:
            self.note(numbers[at], str(reasons[at]))
        if bad:
            good = [at for at, reason in enumerate(reasons) if reason is None]
            return Block([numbers[at] for at in good], [cells[at] for at in good])
        return Block(numbers, cells)

    def _nested(self, batch: "pa.RecordBatch") -> Block:
        numbers, reasons, records = (batch.column(name).to_pylist() for name in ("row", "reason", "record"))
        found = Block(kept := [], texts=(texts := []))
        for number, reason, text in zip(numbers, reasons, records, strict=True):
            if reason is not None or text is None:
                self.note(number or 0, reason or "is empty")
            else:
                kept.append(number)
                texts.append(on_one_line(text))
        return found

    def note(self, number: int, reason: str) -> None:
        """Count a record that cannot be read."""
        self.broken += 1
        if len(self.first_broken) < MAX_TOLD:
            self.first_broken.append((number, reason))


def open_rows(
    found: FoundObject,
    *,
    folder: Path,
    is_whole: bool,
    custom: "Sequence[CustomClassifier]" = (),
    wanted: str | None = None,
    account: str | None = None,
) -> OpenedObject:
    """Classify an object and begin to read it.

    Args:
        folder: for the copy of a remote object.
        is_whole: whether all of it will be read; else the beginning of a large remote object is enough.
        custom: classifiers that are asked first.
        wanted: the name of one of them that is taken if a single record matches.

    Raises:
        EmptyObject: there are no bytes, or nothing but blank lines.
        UnreadableObject: no classifier knows it, or it is not what it looked like; the message has the reason.
    """
    if found.size == 0:
        raise EmptyObject("the file is empty", where=found.uri)
    from datalake_assets.discovery.classifiers.classify import classify

    classification = classify(sample_of(found, account=account), custom, wanted=wanted)
    source = classification.source
    if source is None:
        raise UnreadableObject(f"its format is unknown: {classification.reason}", where=found.uri)

    def whole() -> Path:
        return download(found, folder, account=account)

    if found.is_local or is_whole or found.size <= BEGINNING_BYTES or _needs_its_end(source, found):
        opened = OpenedObject(found, classification, source, whole())
    else:
        opened = OpenedObject(found, classification, source, _beginning(found, folder, account), rest=whole)
    try:
        opened.open()
    except BadInput:
        if opened.rest is None:
            raise
        opened.path, opened.rest = opened.rest(), None
        opened.open()
    return opened


def _needs_its_end(source: SourceFormat, found: FoundObject) -> bool:
    is_zip = source.compression == "zip" or (source.compression == "auto" and found.uri.lower().endswith(".zip"))
    return source.format in ("parquet", "orc") or is_zip


def _beginning(found: FoundObject, folder: Path, account: str | None) -> Path:
    path = folder / f"beginning-{found.name[-100:]}"
    left = BEGINNING_BYTES
    with closing(open_object(found, account=account)) as stream, path.open("wb") as target:
        while left and (data := stream.read(min(left, _COPY_BYTES))):
            target.write(data)
            left -= len(data)
    return path


def _without_empty_end(cells: Cells, width: int) -> Cells:
    """Drop empty surplus at the end: delimiters too many hold nothing."""
    end = len(cells)
    while end > width and not cells[end - 1]:
        end -= 1
    return cells[:end]


_SPACE_OUTSIDE = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+')


def on_one_line(text: str) -> str:
    """A JSON text without the line ends and the indentation of one that is written over several lines."""
    if "\n" not in text and "\r" not in text:
        return text
    return _SPACE_OUTSIDE.sub(lambda found: found[1] or "", text)


_SPACE = " \t\r\n"
_decoder = json.JSONDecoder(strict=False)


def members(text: str) -> dict[str, str | None]:
    """The members of a JSON object as texts: strings as they read, null as None, everything else as it is written.

    Numbers keep their spelling and nested values are their JSON text. A value that is no object is the member `value`.

    Raises:
        UnreadableObject: the text is no JSON, or nested deeper than Python reads.
    """
    try:
        return _members(text)
    except (ValueError, IndexError) as error:
        raise UnreadableObject(f"a record is no JSON: {text[:80]!r}") from error
    except RecursionError as error:
        raise UnreadableObject("a record is nested too deep") from error


def _members(text: str) -> dict[str, str | None]:
    at = _skip(text, 0)
    if text[at] != "{":
        return {"value": _plain(text[at:].rstrip())}
    found: dict[str, str | None] = {}
    at = _skip(text, at + 1)
    while text[at] != "}":
        name, at = _decoder.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        _, end = _decoder.raw_decode(text, at)
        found[name] = _plain(text[at:end])
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def _skip(text: str, at: int) -> int:
    while text[at] in _SPACE:
        at += 1
    return at


def _plain(text: str) -> str | None:
    if text == "null":
        return None
    if text[:1] == '"':
        decoded: str = _decoder.decode(text)
        return decoded
    return text
