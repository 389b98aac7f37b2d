"""JSON lines by the block: exactly what reading them one by one gives."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datalake_assets.formats.records import open_records
from datalake_assets.formats.source_format import SourceFormat
from datalake_assets.mapping import json_lines
from datalake_assets.mapping.json_lines import NeedsCare, line_batches

ODD_LINES = [
    "",
    " \t ",
    "{}",
    '\ufeff{"a": 1} ',
    '{"a": 1}\r',
    '{"a": 1,}',
    '{"a": [1, ]}',
    '{"a": NaN}',
    '{"a": -Infinity}',
    '{"a": nan}',
    '{"a": "banana, nan, inf, ,]"}',
    '{"a": "\\ud83d\\ude00"}',
    '{"a": "\\ud83d"}',
    '{"a": "\\u0000"}',
    '{"a": "\x01"}',
    '{"a": 01}',
    '{"a": 1e999, "b": -0}',
    '{"a": 1} {"a": 2}',
    '{"a": 1}}',
    '{"a": 1, "a": 2}',
    "{'a': 1}",
    '{"a": tru}',
    '{"a": // no\n 1}',
    "{a: 1}",
    '[{"a": 1}]',
    "null",
    "12",
    '"text"',
    "{",
    "\u00a0{}",
    "\x0b{}",
    '{"a": ' + "[" * 600 + "]" * 600 + "}",
    '{"a": ' + "[" * 499 + "]" * 499 + "}",
    '{"a": "' + "[{" * 600 + '"}',
    json.dumps({"ä": "😀", "n": [None, True, {"x": 1.50}]}, ensure_ascii=False),
]


def _records(batches: Any) -> list[dict[str, Any]]:
    return [row for batch in batches for row in pa.Table.from_batches([batch]).to_pylist()]


def _one_by_one(content: bytes, folder: Path) -> list[dict[str, Any]]:
    path = folder / "lines.json"
    path.write_bytes(content)
    return _records(open_records(path, SourceFormat(format="json", layout="lines"), uri="lines.json").batches())


def _in_blocks(content: bytes) -> list[dict[str, Any]]:
    return _records(line_batches(iter([content[at : at + 1000] for at in range(0, len(content), 1000)])))


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_odd_lines_are_judged_alike(end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = end.join(["{}", *ODD_LINES, "{}"]).encode()
    expected = _one_by_one(content, tmp_path)
    assert len([row for row in expected if row["reason"]]) > 15
    assert _in_blocks(content) == expected
    monkeypatch.setattr(json_lines, "BLOCK_BYTES", 100)
    assert _in_blocks(content) == expected


_LINES = st.one_of(
    st.sampled_from(ODD_LINES),
    st.text('{}[]":,\\ \t\ru12eE.-+naNifd89\x00\ufeff', max_size=12),
    st.text('[]:,{} "a1', max_size=10).map(lambda text: '{"a":' + text + "}"),
    st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=4), max_size=3).map(json.dumps),
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(_LINES, max_size=8))
def test_any_lines_are_judged_alike(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    content = "\n".join(["{}", *lines]).encode("utf-8", "surrogatepass")
    assert _in_blocks(content) == _one_by_one(content, tmp_path_factory.mktemp("lines"))


@pytest.mark.parametrize("content", [b'{"a": "\xe9"}\n', b"{" + b" " * 40_000_000], ids=["Latin-1", "a long line"])
def test_what_a_block_cannot_hold_is_left_to_the_other_reader(content: bytes) -> None:
    with pytest.raises(NeedsCare):
        _in_blocks(content)
