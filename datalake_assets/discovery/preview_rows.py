"""The rows of one object or of all below a prefix as one table: a header that holds for all, then cells or JSON texts.

Columns are those of the first object that can be read. What the header cannot know in time is bounded by looking
ahead: columns for surplus fields are made for those among the first rows; later ones stand behind the last column.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from datalake_assets.discovery.objects import FoundObject
from datalake_assets.discovery.preview import OpenedObject, Row, members
from datalake_assets.errors import BadInput, NoObjects, PlatformError, Unsupported

LOOK_AHEAD_ROWS = 10_000
LOOK_AHEAD_CHARACTERS = 8 * 1024 * 1024
MAX_FIELDS = 10_000  # of nested records as columns
EXTRA = "_extra_"  # and a number: names of columns beyond those of the header
_FIXED_FIELDS = ("parquet", "avro", "orc")  # every record has the fields of the schema

Cells = Sequence[str | None]


@dataclass
class PreviewTable:
    """Rows of the objects, opened one after the other.

    Args:
        objects: those to read, in order; the first that opens decides the columns.
        open: classifies one and begins to read it.
        tell: takes a sentence about an object that is left out.
        limit: how many rows; None for all.
    """

    objects: Iterator[FoundObject]
    open: Callable[[FoundObject], OpenedObject]
    tell: Callable[[str], None]
    limit: int | None
    failures: list[PlatformError] = field(default_factory=list)
    read: list[OpenedObject] = field(default_factory=list)
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

    def flat(self) -> tuple[list[str], Iterator[Cells]]:
        """Header and rows of flat objects."""
        names = list(self.first.names or ())
        ahead, rest = self._look_ahead(self._rows())
        surplus = max((len(row.extra) for row in ahead), default=0)
        header = names + [f"{EXTRA}{number}" for number in range(1, surplus + 1)]
        width = len(header)
        return header, (_padded(row, width) for row in chain(ahead, rest))

    def nested(self, *, is_complete: bool) -> tuple[list[str], Iterator[Cells]]:
        """Header and rows of nested records: their fields are columns, in the order in which they appear.

        Args:
            is_complete: read everything once before, so that the header has each field of each record.
        """
        ahead, rest = self._look_ahead(self._rows())
        fields: dict[str, None] = {}
        for row in ahead:
            fields.update(dict.fromkeys(self._members(row)))
        if is_complete and self.first.source.format not in _FIXED_FIELDS:
            ahead, rest = self._with_all_fields(ahead, rest, fields)
        header = list(fields)
        return header, ([found.get(name) for name in header] for found in map(self._members, chain(ahead, rest)))

    def texts(self) -> Iterator[str]:
        """Nested records as JSON texts, one line each."""
        return (row.text for row in self._rows() if row.text is not None)

    def _with_all_fields(
        self, ahead: list[Row], rest: Iterator[Row], fields: dict[str, None]
    ) -> tuple[list[Row], Iterator[Row]]:
        """Read on to the end for the names of fields, then begin again unless everything was ahead already."""
        is_more = False
        for row in rest:
            is_more = True
            fields.update(dict.fromkeys(self._members(row)))
            if len(fields) > MAX_FIELDS:
                raise Unsupported(
                    f"its records have more than {MAX_FIELDS} different fields",
                    where=self.first.found.uri,
                    todo="Print them with --format json",
                )
        if not is_more:
            return ahead, iter(())
        # A failure is found, and told, again.
        self.failures.clear()
        opened, self.read = self.read, []
        return [], self._again(opened)

    def _again(self, opened: Sequence[OpenedObject]) -> Iterator[Row]:
        for each in opened:
            self.read.append(each)
            yield from self._until_it_fails(each)

    def _members(self, row: Row) -> dict[str, str | None]:
        try:
            return members(row.text or "")
        except BadInput as error:
            self.first.note(row.number, error.found)
            return {}

    def _rows(self) -> Iterator[Row]:
        return islice(self._all_rows(), self.limit)

    def _all_rows(self) -> Iterator[Row]:
        self.read.append(self.first)
        yield from self._until_it_fails(self.first)
        for opened in self._openable():
            order = _order(self.first.names, opened.names)
            if order is None:
                self.tell(f"{opened.found.uri}: left out, its columns are not those of {self.first.found.uri}")
                continue
            self.read.append(opened)
            for row in self._until_it_fails(opened):
                yield row if order == () else Row(row.number, [row.values[at] for at in order], row.extra)

    def _until_it_fails(self, opened: OpenedObject) -> Iterator[Row]:
        try:
            yield from opened.rows()
        except PlatformError as error:
            self.failures.append(error)

    def _openable(self) -> Iterator[OpenedObject]:
        for found in self.objects:
            try:
                yield self.open(found)
            except PlatformError as error:
                self.failures.append(error)

    def _look_ahead(self, rows: Iterator[Row]) -> tuple[list[Row], Iterator[Row]]:
        ahead: list[Row] = []
        characters = 0
        for row in rows:
            ahead.append(row)
            characters += len(row.text) if row.text else sum(map(len, filter(None, row.values)))
            if len(ahead) >= LOOK_AHEAD_ROWS or characters >= LOOK_AHEAD_CHARACTERS:
                break
        return ahead, rows


def _order(first: tuple[str, ...] | None, names: tuple[str, ...] | None) -> tuple[int, ...] | None:
    """Where the columns of the first object stand in another: empty if at the same places, None if not at all."""
    if first == names:
        return ()
    if first is None or names is None or len(set(names)) != len(names) or sorted(first) != sorted(names):
        return None
    return tuple(names.index(name) for name in first)


def _padded(row: Row, width: int) -> Cells:
    missing = width - len(row.values) - len(row.extra)
    if not row.extra and missing <= 0:
        return row.values
    return [*row.values, *row.extra, *([None] * missing)]
