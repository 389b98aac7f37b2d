"""Any table that Python writes with any dialect is found again and read to the same cells."""

import csv
import io
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datalake_assets.discovery.classifiers.csv_dialect import find_csv
from datalake_assets.formats.delimited.csv_fields import Dialect
from datalake_assets.formats.delimited.csv_lines import line_blocks
from datalake_assets.formats.delimited.csv_records import open_csv
from datalake_assets.formats.delimited.csv_rows import RowReader
from datalake_assets.formats.source_format import SourceFormat

pytestmark = pytest.mark.slow

WORDS = st.from_regex(r"[a-z]{2,9}", fullmatch=True)
NUMBERS = st.integers(-99_999, 999_999).map(str)
PRICES = st.tuples(st.integers(0, 9_999), st.integers(0, 99)).map(lambda pair: f"{pair[0]}.{pair[1]:02d}")
DATES = st.dates().map(str)
TIMES = st.times().map(lambda time: time.strftime("%H:%M:%S"))
SENTENCES = st.lists(
    st.one_of(WORDS, st.sampled_from(["and,", "so;", 'a "quoted" word', "it's", "tab\there", "a|b", "two\nlines", ""])),
    max_size=6,
).map(" ".join)
HEADERS = st.lists(WORDS, min_size=2, max_size=7, unique=True)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    """A header of words over columns of one kind each, of which at least one is no text."""
    names = draw(HEADERS)
    kinds = [draw(st.sampled_from([NUMBERS, PRICES, DATES, TIMES, WORDS, SENTENCES])) for _ in names[1:]]
    kinds.insert(draw(st.integers(0, len(kinds))), draw(st.sampled_from([NUMBERS, PRICES, DATES])))
    count = draw(st.integers(4, 12))
    return names, [[draw(kind) for kind in kinds] for _ in range(count)]


@st.composite
def dialects(draw: st.DrawFn) -> dict[str, object]:
    words: dict[str, object] = {
        "delimiter": draw(st.sampled_from([",", ";", "\t", "|"])),
        "quotechar": draw(st.sampled_from(['"', '"', "'"])),
        "lineterminator": draw(st.sampled_from(["\n", "\r\n"])),
        "quoting": draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    }
    # Where nothing is quoted an escaped apostrophe cannot be told from a backslash before a plain one.
    if words["quoting"] == csv.QUOTE_ALL and draw(st.booleans()):
        words |= {"doublequote": False, "escapechar": "\\"}
    return words


@given(table=tables(), dialect=dialects())
@settings(max_examples=60, deadline=None)
def test_a_table_written_with_any_dialect_is_found_again(
    table: tuple[list[str], list[list[str]]], dialect: dict[str, object]
) -> None:
    names, rows = table
    out = io.StringIO(newline="")
    csv.writer(out, **dialect).writerows([names, *rows])  # type: ignore[arg-type]
    finding = find_csv(out.getvalue(), is_complete=True)
    assert finding is not None
    assert finding.names == tuple(names)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "copy"
        path.write_text(out.getvalue(), newline="")
        file = open_csv(path, finding.source, uri="s3://raw/a.csv")
        records = [record for batch in file.batches() for record in batch.to_pylist()]
    assert [record["reason"] for record in records] == [None] * len(rows)
    assert [[record[f"c{index}"] for index in range(len(names))] for record in records] == rows


ODD_CELLS = st.text(alphabet=st.sampled_from("ab\"',;\\ \n\r"), max_size=6)


@given(
    rows=st.lists(st.lists(ODD_CELLS, min_size=3, max_size=3), min_size=1, max_size=8),
    delimiter=st.sampled_from([",", ";"]),
    quote=st.sampled_from(['"', "'"]),
    end=st.sampled_from(["\n", "\r\n"]),
    seed=st.integers(0, 1_000),
)
@settings(max_examples=120, deadline=None)
def test_whatever_keeps_the_rules_is_read_by_the_rules(
    rows: list[list[str]], delimiter: str, quote: str, end: str, seed: int
) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, quotechar=quote, quoting=csv.QUOTE_ALL, lineterminator=end).writerows(rows)
    text = out.getvalue()
    # Chunks may end anywhere, within a line end too.
    cut = sorted(random.Random(seed).sample(range(len(text) + 1), k=min(3, len(text))))
    chunks = [text[start:stop] for start, stop in zip([0, *cut], [*cut, len(text)], strict=True)]
    reader = RowReader(line_blocks(chunk for chunk in chunks if chunk), Dialect(delimiter, quote), width=3)
    found = [row for block in reader.blocks() for row in block.rows]
    assert found == rows


@given(text=st.text(alphabet=st.sampled_from("ab1,;|\"'\\ \n\r\t"), max_size=300), is_complete=st.booleans())
@settings(max_examples=120, deadline=None)
def test_any_text_is_found_or_not_without_an_error(text: str, is_complete: bool) -> None:
    finding = find_csv(text, is_complete=is_complete)
    if finding is None:
        return
    SourceFormat.model_validate(finding.source.model_dump())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "copy"
        path.write_bytes(text.encode())
        file = open_csv(path, finding.source, uri="s3://raw/a.csv")
        if is_complete:
            assert file.names == finding.names
        rows = [row for batch in file.batches() for row in batch.column("row").to_pylist()]
    assert rows == sorted(set(rows))
