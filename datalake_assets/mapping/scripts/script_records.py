"""Raw files of JSON, and delimited ones that are not plain, as rows of texts: found by the platform's own readers."""

import codecs
from collections.abc import Iterator
from typing import IO, Any

from datalake_assets.errors import EmptyObject, UnreadableObject
from datalake_assets.formats.delimited.csv_records import TOO_FEW, TOO_MANY, UNDECODABLE, table_of
from datalake_assets.formats.delimited.csv_records import readable as readable_text
from datalake_assets.formats.encoding import is_decodable
from datalake_assets.formats.json_records import JsonFile, json_file
from datalake_assets.formats.paths import json_keys, tree_of
from datalake_assets.mapping.scripts.script_json import found_at, left_over, parsed, text_of, written
from datalake_assets.mapping.scripts.script_reader import (
    REDACTED,
    BadFile,
    Row,
    Source,
    decompressed,
    find_places,
    key_values,
    stream_errors,
)

_CHUNK_BYTES = 1 << 20
_NOT_VALID = "is not valid JSON"
_REPEATED = "has a member twice"


def read_json(stream: IO[bytes], uri: str, source: Source) -> Iterator[Row]:
    """All records of a JSON file, broken ones included."""
    with stream_errors(uri, source):
        try:
            layout: Any = source
            yield from _json_rows(json_file(_texts(stream, uri, source), layout, uri=uri), uri, source)
        except (EmptyObject, UnreadableObject) as error:
            raise BadFile(str(error)) from error


def _json_rows(file: JsonFile, uri: str, source: Source) -> Iterator[Row]:
    tree = tree_of(source.paths)
    masked = [path for name, path in zip(source.columns, source.paths, strict=True) if name in source.masked]
    keys = json_keys(source.columns)
    values = key_values(uri, source.keys)
    nothing = (None,) * (len(source.columns) + len(values))
    is_mapped = False
    count = 0
    for record in file.records():
        count += 1
        reason, raw, value = record.reason, record.raw, {}
        if reason is None:
            try:
                value = parsed(record.record or "")
            except ValueError:
                reason = _NOT_VALID
            if hasattr(value, "pairs"):
                reason = _REPEATED
        if reason is not None:
            shown = REDACTED if source.masked else record.record if raw is None else raw
            is_mapped = is_mapped or reason == _REPEATED
            yield Row(uri, record.row, reason, shown or "", None, nothing)
            continue
        is_mapped = is_mapped or any(name in value for name in tree)
        texts = [text_of(found_at(value, path)) for path in source.paths]
        surplus = left_over(value, tree, masked)
        whole = record.record or ""
        if source.masked:
            shown_texts = (
                REDACTED if path in source.masked and text is not None else text
                for path, text in zip(source.columns, texts, strict=True)
            )
            whole = _record_object(dict(zip(keys, shown_texts, strict=True)), surplus)
        yield Row(uri, record.row, None, whole, surplus, (*texts, *values))
    if count and not is_mapped:
        raise BadFile(f"{uri}: none of its {count} records has any of the mapped members")


def read_odd_csv(stream: IO[bytes], uri: str, source: Source) -> Iterator[Row]:
    """All records of a delimited file that DuckDB's own parser would not take."""
    with stream_errors(uri, source):
        try:
            yield from _odd_rows(_texts(stream, uri, source), uri, source)
        except (EmptyObject, UnreadableObject) as error:
            raise BadFile(str(error)) from error


def _odd_rows(chunks: Iterator[str], uri: str, source: Any) -> Iterator[Row]:
    table = table_of(chunks, source, uri=uri)
    if table is None:
        raise BadFile(f"{uri}: the object holds nothing but blank lines")
    names, width = table.names, table.width
    places = find_places(names, uri, source)
    keys = json_keys(names)
    key_texts = key_values(uri, source.keys)
    nothing = (None,) * (len(places) + len(key_texts))
    nulls = frozenset(source.null_values)
    surplus_places = [number for number, name in enumerate(names) if name not in source.columns]
    for block in table.blocks:
        for index, row in enumerate(block.rows):
            fields: list[str] = row
            if table.ends_with_delimiter and len(fields) == width + 1 and not fields[-1]:
                fields = fields[:-1]
            reason = block.problems.get(index)
            if reason is None and len(fields) < width and source.short_rows != "pad":
                reason = TOO_FEW
            if reason is None and len(fields) > width and source.long_rows != "rescue":
                reason = TOO_MANY
            raw = block.raws.get(index, source.delimiter.join(fields)) if reason is not None else None
            if not is_decodable("".join(fields)):
                # Bytes that are no text arrive as lone surrogates: their record is broken, no other.
                fields = [readable_text(value) for value in fields]
                raw = readable_text(",".join(fields) if raw is None else raw)
                reason = reason or UNDECODABLE
            line = block.numbers[index]
            if reason is not None:
                yield Row(uri, line, reason, REDACTED if source.masked else raw or "", None, nothing)
                continue
            values: list[str | None] = [*fields[:width], *[None] * (width - len(fields))]
            extra = {f"column {number}": text for number, text in enumerate(fields[width:], width + 1)}
            shown = {
                key: REDACTED if names[number] in source.masked and values[number] is not None else values[number]
                for number, key in enumerate(keys)
            }
            kept = {keys[n]: text for n in surplus_places if (text := values[n]) is not None and text not in nulls}
            surplus_extra = {key: text for key, text in extra.items() if text not in nulls}
            left = written(kept | surplus_extra)[1:-1]
            shown_extra = surplus_extra if source.masked else extra
            whole = _record_object(shown, written(shown_extra)[1:-1] or None)
            texts = (None if place is None else values[place] for place in places)
            yield Row(uri, line, None, whole, left or None, (*texts, *key_texts))


def _record_object(members: dict[str, str | None], surplus: str | None) -> str:
    whole = written(members)
    return whole if surplus is None else f"{whole[:-1]},{surplus}}}"


def _texts(stream: IO[bytes], uri: str, source: Source) -> Iterator[str]:
    """The text of a file without a byte order mark; bytes that are wrong become lone surrogates."""
    decoder = codecs.getincrementaldecoder(source.encoding)(errors="surrogateescape")
    raw = decompressed(stream, uri, source)
    is_first = True
    while chunk := raw.read(_CHUNK_BYTES):
        text = decoder.decode(chunk)
        if is_first and text:
            text, is_first = text.removeprefix("\ufeff"), False
        if text:
            yield text
    if text := decoder.decode(b"", final=True):
        yield text
