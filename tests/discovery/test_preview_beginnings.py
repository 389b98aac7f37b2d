"""Of a large remote object only the beginning is fetched, unless more rows are wanted than it has."""

import gzip
from pathlib import Path

from datalake_assets.discovery.classifiers.classification import Classification
from datalake_assets.discovery.preview import OpenedObject
from datalake_assets.discovery.sources.objects import FoundObject, list_objects
from datalake_assets.formats.source_format import SourceFormat

ROWS = [[str(n), f"text {n}", f"{n % 13}.5"] for n in range(60_000)]
CONTENT = "id,text,value\n" + "".join(",".join(row) + "\n" for row in ROWS)


class Fetches:
    """Gives the whole object when it is asked for, and knows how often it was."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0

    def __call__(self) -> Path:
        self.count += 1
        return self.path


def opened(tmp_path: Path, content: bytes, name: str, *, cut_at: int) -> tuple[OpenedObject, Fetches]:
    whole = tmp_path / name
    whole.write_bytes(content)
    beginning = tmp_path / f"beginning-{name}"
    beginning.write_bytes(content[:cut_at])
    found: FoundObject = next(iter(list_objects(str(whole))))
    source = SourceFormat(format="csv")
    fetches = Fetches(whole)
    known = Classification("csv", 1.0, "known", source)
    return OpenedObject(found, known, source, beginning, rest=fetches), fetches


def rows_of(source: OpenedObject) -> list[list[str | None]]:
    return [list(row) for block in source.blocks() for row in block.cells]


def test_all_rows_come_once_and_whole_although_the_beginning_ends_within_one(tmp_path: Path) -> None:
    source, fetches = opened(tmp_path, CONTENT.encode(), "a.csv", cut_at=len(CONTENT) * 2 // 3)
    assert rows_of(source) == ROWS
    assert fetches.count == 1


def test_a_compressed_beginning_is_completed_too(tmp_path: Path) -> None:
    packed = gzip.compress(CONTENT.encode())
    source, fetches = opened(tmp_path, packed, "a.csv.gz", cut_at=len(packed) * 2 // 3)
    assert rows_of(source) == ROWS
    assert fetches.count == 1


def test_a_few_rows_need_only_the_beginning(tmp_path: Path) -> None:
    text = CONTENT * 3
    source, fetches = opened(tmp_path, text.encode(), "a.csv", cut_at=len(text) - 5)
    first = next(source.blocks())
    assert [list(row) for row in first.cells[:3]] == ROWS[:3]
    assert fetches.count == 0
