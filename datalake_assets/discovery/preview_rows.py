"""The rows of one object or of all below a prefix as one table: a header that holds for all, then cells or JSON texts.

Columns are those of the first object that can be read. What the header cannot know in time is bounded by looking
ahead: columns for surplus fields are made for those among the first rows; later ones stand behind the last column.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from datalake_assets.discovery.preview import Block, Cells, OpenedObject, members
from datalake_assets.discovery.sources.objects import FoundObject
from datalake_assets.errors import BadInput, NoObjects, PlatformError, Unsupported

LOOK_AHEAD_ROWS = 10_000
LOOK_AHEAD_CHARACTERS = 8 * 1024 * 1024
MAX_FIELDS = 10_000  # of nested records as columns
EXTRA = "_extra_"  # and a number: names of columns beyond those of the header
_FIXED_FIELDS = ("parquet", "avro", "orc")  # every record has the fields of the schema


@dataclass
class PreviewTable:
    """Rows of the objects, opened one after the other.

    Args:
        objects: those to read, in order; the first that opens decides the columns.
        open: classifies one and begins to read it.
        tell: takes a sentence about an object that is left out.
        limit: how many rows; None for all.
        rows: how many were read, when all blocks are.
    """

    objects: Iterator[FoundObject]
    open: Callable[[FoundObject], OpenedObject]
    tell: Callable[[str], None]
    limit: int | None
    failures: list[PlatformError] = field(default_factory=list)
    read: list[OpenedObject] = field(default_factory=list)
    rows: int = 0
    first: OpenedObject = field(init=False)

    def __post_init__(self) -> None:
        opened = next(self._openable(), None)
        if opened is None:
            if self.failures:
                raise self.failures[0]
            raise NoObjects("there is no file")
        self.first = opened

    @property
    def is_flat(self) -> bool:
        return self.first.names is not None

    def flat(self) -> tuple[list[str], Iterator[list[Cells]]]:
        """Header and blocks of rows of flat objects."""
        names = list(self.first.names or ())
        ahead, rest = _look_ahead(self._blocks())
        width = max((len(row) for block in ahead for row in block.cells), default=len(names))
        header = names + [f"{EXTRA}{number}" for number in range(1, width - len(names) + 1)]
        blocks = (block.cells for block in chain(ahead, rest))
        if len(header) == len(names):
            return header, map(list, blocks)
        return header, ([_padded(row, width) for row in block] for block in blocks)

    def nested(self, *, is_complete: bool) -> tuple[list[str], Iterator[list[Cells]]]:
        """Header and blocks of rows of nested records: their fields are columns, in the order in which they appear.

        Args:
            is_complete: read everything once before, so that the header has each field of each record.
        """
        ahead, rest = _look_ahead(self._blocks())
        fields: dict[str, None] = {}
        for block in ahead:
            self._add_fields(block, fields)
        if is_complete and self.first.source.format not in _FIXED_FIELDS:
            ahead, rest = self._with_all_fields(ahead, rest, fields)
        header = list(fields)
        return header, ([list(map(found.get, header)) for found in self._members(b)] for b in chain(ahead, rest))

    def texts(self) -> Iterator[list[str]]:
        """Blocks of nested records as JSON texts, one line each."""
        return (list(block.texts) for block in self._blocks())

    def _with_all_fields(
        self, ahead: list[Block], rest: Iterator[Block], fields: dict[str, None]
    ) -> tuple[list[Block], Iterator[Block]]:
        """Read on to the end for the names of fields, then begin again unless everything was ahead already."""
        is_more = False
        for block in rest:
            is_more = True
            self._add_fields(block, fields)
            if len(fields) > MAX_FIELDS:
                raise Unsupported(
                    f"its records have more than {MAX_FIELDS} different fields",
                    where=self.first.found.uri,
                    todo="Print them with --format json",
                )
        if not is_more:
            return ahead, iter(())
        # What failed fails again, and is told then.
        self.failures = [error for error in self.failures if error.where not in {each.found.uri for each in self.read}]
        opened, self.read, self.rows = self.read, [], 0
        return [], self._again(opened)

    def _again(self, opened: Sequence[OpenedObject]) -> Iterator[Block]:
        for each in opened:
            self.read.append(each)
            for block in self._until_it_fails(each):
                self.rows += len(block.numbers)
                yield block

    def _add_fields(self, block: Block, fields: dict[str, None]) -> None:
        for found in self._members(block):
            fields.update(dict.fromkeys(found))

    def _members(self, block: Block) -> Iterator[dict[str, str | None]]:
        for number, text in zip(block.numbers, block.texts, strict=True):
            try:
                yield members(text)
            except BadInput as error:
                self.first.note(number, error.found)

    def _blocks(self) -> Iterator[Block]:
        """The blocks up to the limit of rows."""
        for block in self._all_blocks():
            left = None if self.limit is None else self.limit - self.rows
            if left is not None and len(block.numbers) >= left:
                self.rows += left
                yield Block(block.numbers[:left], block.cells[:left], block.texts[:left])
                return
            self.rows += len(block.numbers)
            yield block

    def _all_blocks(self) -> Iterator[Block]:
        self.read.append(self.first)
        yield from self._until_it_fails(self.first)
        for opened in self._openable():
            order = _order(self.first.names, opened.names)
            if order is None:
                self.tell(f"{opened.found.uri}: left out, its columns are not those of {self.first.found.uri}")
                continue
            self.read.append(opened)
            for block in self._until_it_fails(opened):
                if order:
                    block.cells = [[row[at] for at in order] + list(row[len(order) :]) for row in block.cells]
                yield block

    def _until_it_fails(self, opened: OpenedObject) -> Iterator[Block]:
        try:
            yield from opened.blocks()
        except PlatformError as error:
            self.failures.append(error)

    def _openable(self) -> Iterator[OpenedObject]:
        for found in self.objects:
            try:
                yield self.open(found)
            except PlatformError as error:
                self.failures.append(error)


def _look_ahead(blocks: Iterator[Block]) -> tuple[list[Block], Iterator[Block]]:
    """The first blocks, up to a number of rows and of characters, and the others."""
    ahead: list[Block] = []
    rows = characters = 0
    for block in blocks:
        ahead.append(block)
        rows += len(block.numbers)
        characters += sum(map(len, block.texts)) + sum(len(cell) for row in block.cells for cell in row if cell)
        if rows >= LOOK_AHEAD_ROWS or characters >= LOOK_AHEAD_CHARACTERS:
            break
    return ahead, blocks


def _order(first: tuple[str, ...] | None, names: tuple[str, ...] | None) -> tuple[int, ...] | None:
    """Where the columns of the first object stand in another: empty if at the same places, None if not at all."""
    if first == names:
        return ()
    if first is None or names is None or len(set(names)) != len(names) or sorted(first) != sorted(names):
        return None
    return tuple(names.index(name) for name in first)


def _padded(row: Cells, width: int) -> Cells:
    return row if len(row) >= width else [*row, *[None] * (width - len(row))]
