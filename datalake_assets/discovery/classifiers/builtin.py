"""The built-in classifiers: each looks at the beginning of an object and says how certain it is, and why."""

import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from datalake_assets.discovery.classifiers.content import Content, error_told
from datalake_assets.errors import UnreadableObject
from datalake_assets.formats.avro_blocks import MAGIC as AVRO_MAGIC
from datalake_assets.formats.avro_blocks import read_header

if TYPE_CHECKING:
    from datalake_assets.formats.source_format import SourceFormat

CSV_CHARACTERS = 128 * 1024
# Rows that a delimiter takes apart so well are rows, be their texts sentences or not.
_SURE_DESPITE_PROSE = 0.6
_PROSE_LETTERS = 0.85
_WORD = re.compile(r"[^\W\d_]+")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)]*(?:\s|$)")
_CODE_LINES = 400
_TYPED_DESPITE_CODE = 0.3  # of the columns: programs have none of numbers or dates
_STATEMENT = re.compile(
    r"""\s*(?:[#]include\b|[#]!/|//|/\*|\*/|--\s|@\w+\s*(?:\(|$)
    |(?:import|from|def|class|return|elif|for|while|with|try|except|raise|public|private|protected|static|var|let|const
    |function|func|fn|using|package|namespace|struct|enum|interface|if|else|switch|case|print|echo|export|local
    |select|insert\s+into|create|update|delete\s+from|alter|drop|grant|set|begin|commit|copy|where|group\s+by|order\s+by
    )(?:\s|\(|:$|;$)
    |[\w.]+\s(?:=|\+=|:=)\s\S|[\w.]+\(.*\)\s*;?$)""",
    re.IGNORECASE | re.VERBOSE,
)
_BLOCK = re.compile(r"(?:[;{}(]|\)\s*:)\s*$")
_MAX_FOOTER_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Verdict:
    """What one classifier says: a certainty from 0 to 1, a reason, and the words of `source:` if it is any.

    `is_final` ends the search: it is this format or none, so a certainty of 0 means that the object cannot be read.
    """

    classifier: str
    certainty: float
    reason: str
    words: dict[str, Any] = field(default_factory=dict)
    details: dict[str, float] = field(default_factory=dict)
    source: "SourceFormat | None" = None
    is_final: bool = False


Classifier = Callable[[Content], Verdict]


def parquet(content: Content) -> Verdict:
    if content.data[:4] != b"PAR1":
        return Verdict("parquet", 0.0, "does not begin with PAR1")
    tail = _tail(content, 8)
    if tail is None:
        return Verdict("parquet", 0.9, "begins with PAR1; its end was not looked at", {"format": "parquet"})
    if len(tail) < 8 or tail[4:] != b"PAR1":
        return Verdict(
            "parquet", 0.0, "begins as a Parquet file but has no footer: it is truncated or broken", is_final=True
        )
    length = int.from_bytes(tail[:4], "little")
    if not 0 < length <= min(_size(content), _MAX_FOOTER_BYTES):
        return Verdict("parquet", 0.0, "begins as a Parquet file but its footer is broken", is_final=True)
    return Verdict("parquet", 1.0, "begins and ends with PAR1", {"format": "parquet"})


def orc(content: Content) -> Verdict:
    if content.data[:3] != b"ORC":
        return Verdict("orc", 0.0, "does not begin with ORC")
    tail = _tail(content, 256)
    if tail is None:
        return Verdict("orc", 0.9, "begins with ORC; its end was not looked at", {"format": "orc"})
    length = tail[-1]
    if b"ORC" not in tail[-1 - length :]:
        told = "begins with ORC but has no postscript: it is truncated, or something else"
        return Verdict("orc", 0.0, told, is_final=not content.encoding.is_text)
    return Verdict("orc", 1.0, "begins with ORC and ends with its postscript", {"format": "orc"})


def avro(content: Content) -> Verdict:
    if not content.data.startswith(AVRO_MAGIC):
        return Verdict("avro", 0.0, "does not begin with Obj 1")
    import io

    try:
        header = read_header(io.BytesIO(content.data), content.sample.uri)
    except UnreadableObject as error:
        return Verdict("avro", 0.0, f"begins as an Avro file but {error_told(error)}", is_final=True)
    return Verdict("avro", 1.0, f"an Avro container with a schema, codec {header.codec}", {"format": "avro"})


def delimited(content: Content) -> Verdict:
    """CSV and its relatives, whatever the delimiter."""
    from datalake_assets.discovery.classifiers.csv_dialect import find_csv

    text = content.text
    is_complete = content.is_complete and len(text) <= CSV_CHARACTERS
    found = find_csv(text[:CSV_CHARACTERS], is_complete=is_complete, encoding=content.encoding.name)
    if found is None:
        return Verdict("csv", 0.0, "no delimiter gives rows of the same width")
    if found.source.delimiter.isspace() and found.source.delimiter != "\t" and "\n" not in text.strip():
        return Verdict("csv", 0.05, "one line of words is no table")
    if found.certainty < _SURE_DESPITE_PROSE and is_prose(text[:CSV_CHARACTERS]):
        return Verdict("csv", 0.05, f"reads as prose: {found.reason}")
    if found.details["types"] < _TYPED_DESPITE_CODE and is_code(text[:CSV_CHARACTERS]):
        return Verdict("csv", 0.05, f"reads as source code: {found.reason}")
    return Verdict("csv", found.certainty, found.reason, details=dict(found.details), source=found.source)


def is_code(text: str) -> bool:
    """Whether a text is a program or SQL: most lines begin with its words or end as statements and blocks do."""
    lines = [line for line in text.splitlines()[:_CODE_LINES] if line.strip()]
    begun = sum(1 for line in lines if _STATEMENT.match(line))
    ended = sum(1 for line in lines if _BLOCK.search(line))
    return begun * 5 >= len(lines) and (begun + ended) * 2 > len(lines)


def is_prose(text: str) -> bool:
    """Whether a text is sentences: long lines of words and next to nothing else, that end as sentences do."""
    words = _WORD.findall(text)
    lines = sum(1 for line in text.splitlines() if line.strip())
    visible = len(text) - sum(map(text.count, " \t\r\n"))
    if not lines or len(words) < 6 * lines:
        return False
    return sum(map(len, words)) > _PROSE_LETTERS * visible and len(_SENTENCE_END.findall(text)) * 6 >= lines


def _size(content: Content) -> int:
    return content.sample.size if content.compression == "none" else len(content.data)


def _tail(content: Content, size: int) -> bytes | None:
    """The last bytes; None when they cannot be had without decompressing everything."""
    if content.is_complete:
        return content.data[-size:]
    if content.compression != "none":
        return None
    with closing(content.sample.open()) as file:
        file.seek(max(content.sample.size - size, 0))
        return file.read(size)
