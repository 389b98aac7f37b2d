"""Spoiled files of many kinds still give the table that was written, to the last cell."""

import csv
import io
from pathlib import Path

import pytest

from datalake_assets.discovery.classifiers.classify import classify
from datalake_assets.formats.delimited.csv_normal import write_normalised
from tests.discovery.polluted import POLLUTIONS, sources
from tests.discovery.samples import sample

pytestmark = pytest.mark.slow

# What nobody can tell from the file alone, or not yet.
UNDECIDED = {
    # Two rows of two texts above numbers may as well be a title and its value.
    "two_headers": {"two_columns"},
    # Without the delimiter two cells of the same kind are one that looks like any other.
    "missing_first_delimiter": {"texts", "genomics", "two_columns"},
    "missing_last_delimiter": {"wide", "two_columns", "lines_in_cells"},
}


def normalised(content: bytes, folder: Path) -> list[tuple[str, ...]]:
    """The header and the rows that are found in a file."""
    found = classify(sample(content, "it.csv"))
    assert found.source is not None, found.reason
    assert found.source.format == "csv"
    path = folder / "it.csv"
    path.write_bytes(content)
    out = io.StringIO(newline="")
    write_normalised(path, found.source, out, uri="it.csv")
    return [tuple(row) for row in csv.reader(io.StringIO(out.getvalue(), newline=""))]


@pytest.mark.parametrize("pollution", POLLUTIONS)
def test_a_spoiled_file_gives_the_table_that_was_written(pollution: str, tmp_path: Path) -> None:
    wrong = set()
    for name, source in sources().items():
        written = POLLUTIONS[pollution](source)
        if normalised(written.content, tmp_path) != [written.names, *written.rows]:
            wrong.add(name)
    assert wrong == UNDECIDED.get(pollution, set())


def test_what_cannot_be_told_loses_no_row_and_touches_no_other(tmp_path: Path) -> None:
    for pollution in ("missing_first_delimiter", "missing_last_delimiter"):
        for name in UNDECIDED[pollution] - {"lines_in_cells"}:
            written = POLLUTIONS[pollution](sources()[name])
            header, *rows = normalised(written.content, tmp_path)
            assert header == written.names
            assert [row for index, row in enumerate(rows) if index != 5] == [*written.rows[:5], *written.rows[6:]]
