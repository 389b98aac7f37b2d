"""Logs of public formats are taken apart; stack traces stay with their line."""

import re
from pathlib import Path

import pytest

from datalake_assets.errors import EmptyObject, UnreadableObject
from datalake_assets.formats.grok import MAX_LINE_CHARACTERS, compile_grok
from datalake_assets.formats.known_logs import KNOWN_LOGS
from datalake_assets.formats.records import FLAT_COLUMNS, open_records
from datalake_assets.formats.source_format import SourceFormat
from tests.formats.log_samples import SAMPLES


def rows(path: Path, pattern: str, **words: object) -> list[dict[str, object]]:
    source = SourceFormat(format="log", pattern=pattern, **words)
    file = open_records(path, source, uri=f"s3://raw/{path.name}")
    assert file.names is not None
    found: list[dict[str, object]] = []
    for batch in file.batches():
        names = [*FLAT_COLUMNS, *file.names]
        assert batch.num_columns == len(names)
        found.extend(dict(zip(names, row, strict=True)) for row in zip(*batch.to_pydict().values(), strict=True))
    return found


def stored(folder: Path, content: str | bytes) -> Path:
    path = folder / "it.log"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("name", SAMPLES)
def test_every_known_log_is_taken_apart(name: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]
    found = rows(stored(tmp_path, sample.text), name)
    assert [row["reason"] for row in found] == [None] * sample.records
    values = found[sample.row]
    assert {key: values[key] for key in sample.values} == sample.values


def test_every_known_log_has_a_sample() -> None:
    assert set(KNOWN_LOGS) == set(SAMPLES)


@pytest.mark.parametrize("name", [name for name, known in KNOWN_LOGS.items() if known.pattern])
def test_known_logs_give_up_on_other_lines_in_good_time(name: str) -> None:
    grok = compile_grok(KNOWN_LOGS[name].pattern)
    first = SAMPLES[name].text.split("\n", 1)[0]
    # Samples cut anywhere and followed by what no line has: an expression that shares out characters never ends here.
    for end in range(5, len(first), 7):
        for piece in (" ", '"', "-", "[", "a ", "1.", "\\", "a:"):
            grok.values(first[:end] + piece * 1_000 + "\0\n")


TRACE = """2026-01-02 03:04:05,678 ERROR [main] com.example.App - it failed
java.lang.IllegalStateException: no
\tat com.example.App.run(App.java:17)

Caused by: java.io.IOException: disk
\t... 12 more
2026-01-02 03:04:06,000 INFO [main] com.example.App - it goes on
"""


def test_a_stack_trace_belongs_to_its_record(tmp_path: Path) -> None:
    found = rows(stored(tmp_path, TRACE), "log4j")
    assert [row["row"] for row in found] == [1, 7]
    message = str(found[0]["message"])
    assert message.startswith("it failed\njava.lang.IllegalStateException: no\n\tat com")
    assert message.endswith("Caused by: java.io.IOException: disk\n\t... 12 more")
    assert found[1]["message"] == "it goes on"


def test_a_stack_trace_follows_an_own_pattern_that_ends_openly(tmp_path: Path) -> None:
    text = "7|boom\nTraceback (most recent call last):\n  File x\nValueError: bad\n8|fine\nnonsense\n"
    found = rows(stored(tmp_path, text), r"%{INT:id:int}\|%{GREEDYDATA:message}")
    assert [row["reason"] for row in found] == [None, None, "does not match the pattern"]
    assert found[0]["message"] == "boom\nTraceback (most recent call last):\n  File x\nValueError: bad"
    assert found[2]["raw"] == "nonsense"


def test_lines_that_do_not_match_are_broken_records(tmp_path: Path) -> None:
    text = "1 a\n\nnonsense\n2 b\n\ttraceback\n"
    found = rows(stored(tmp_path, text), "%{INT:id} %{WORD:name}")
    assert [(row["row"], row["reason"], row["raw"], row["id"]) for row in found] == [
        (1, None, None, "1"), (3, "does not match the pattern", "nonsense", None), (4, None, None, "2"),
        (5, "does not match the pattern", "\ttraceback", None),
    ]  # fmt: skip


def test_a_line_beyond_the_limit_is_broken_and_cut(tmp_path: Path) -> None:
    text = "1 a\n2 " + "x" * MAX_LINE_CHARACTERS + "\n3 c\n"
    found = rows(stored(tmp_path, text), "%{INT:id} %{WORD:name}")
    assert [row["reason"] for row in found] == [None, "is longer than 64 kB", None]
    assert len(str(found[1]["raw"])) == 1_000


def test_a_wrong_byte_breaks_its_line_only(tmp_path: Path) -> None:
    found = rows(stored(tmp_path, b"1 a\n2 m\xfcll\n3 \xc3\xbc\n"), "%{INT:id} %{GREEDYDATA:text}")
    assert [row["reason"] for row in found] == [None, "holds bytes that are no text in the encoding of the file", None]


def test_fields_that_the_header_does_not_name_break_the_line(tmp_path: Path) -> None:
    text = "#Version: 1.0\n#Fields: date time c-ip\n2026-01-01\t10:00:00\t10.0.0.1\n2026-01-01\t10:00:00\n"
    found = rows(stored(tmp_path, text), "cloudfront")
    assert [row["reason"] for row in found] == [None, "does not match the pattern"]
    assert found[0]["c-ip"] == "10.0.0.1"


def test_nothing_and_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EmptyObject):
        rows(stored(tmp_path, "\n\n"), "log4j")
    with pytest.raises(EmptyObject):
        rows(stored(tmp_path, ""), "log4j")
    with pytest.raises(UnreadableObject, match=re.escape("none of its first 10 lines matches")):
        rows(stored(tmp_path, "id,name\n" * 10), "apache_common")
    with pytest.raises(UnreadableObject, match="names the fields"):
        rows(stored(tmp_path, "a\tb\n"), "cloudfront")
