"""Parquet, ORC and Avro become JSON objects that lose nothing."""

import contextlib
import datetime
import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from datalake_assets.errors import EmptyObject, UnreadableObject, Unsupported
from datalake_assets.formats import avro_blocks
from datalake_assets.formats.records import NESTED_COLUMNS, open_records
from datalake_assets.formats.source_format import Format, SourceFormat

UTC = datetime.UTC
TABLE = pa.table(
    {
        "i": pa.array([2**63 - 1, None, -1], pa.int64()),
        "f": pa.array([0.1, float("nan"), 1e300], pa.float64()),
        "r": pa.array([0.1, float("-inf"), None], pa.float32()),
        "d": pa.array([Decimal("12.30"), Decimal("0.00"), None], pa.decimal128(38, 2)),
        "tiny": pa.array([Decimal("0.00000001"), Decimal("0"), None], pa.decimal128(20, 8)),
        "b": pa.array([True, None, False]),
        "s": pa.array(['a "q" \\ \n ü', "", None]),
        "raw": pa.array([b"\x00\xff", b"", None], pa.binary()),
        "day": pa.array([datetime.date(2026, 1, 2), None, None]),
        "at": pa.array([datetime.datetime(2026, 1, 2, 3, 4, 5, 678), None, None], pa.timestamp("us")),
        "instant": pa.array([datetime.datetime(2026, 1, 2, 3, tzinfo=UTC), None, None], pa.timestamp("ns", "UTC")),
        "list": pa.array([["a", None], [], None], pa.list_(pa.string())),
        "map": pa.array([[("k", 1), ("l", None)], [], None], pa.map_(pa.string(), pa.int32())),
        "st": pa.array([{"x": 1, "y": [{"z": 2.5}]}, {"x": None, "y": None}, None]),
    }
)
RECORDS: list[dict[str, Any]] = [
    {
        "i": 2**63 - 1, "f": 0.1, "r": 0.1, "d": Decimal("12.30"), "tiny": Decimal("0.00000001"), "b": True,
        "s": 'a "q" \\ \n ü', "raw": "AP8=", "day": "2026-01-02", "at": "2026-01-02 03:04:05.000678",
        "instant": "2026-01-02 03:00:00.000000000+00:00", "list": ["a", None], "map": {"k": 1, "l": None},
        "st": {"x": 1, "y": [{"z": 2.5}]},
    },
    {
        "i": None, "f": "NaN", "r": "-Infinity", "d": Decimal("0.00"), "tiny": Decimal("0E-8"), "b": None, "s": "",
        "raw": "", "day": None, "at": None, "instant": None, "list": [], "map": {}, "st": {"x": None, "y": None},
    },
    {
        "i": -1, "f": 1e300, "r": None, "d": None, "tiny": None, "b": False, "s": None, "raw": None, "day": None,
        "at": None, "instant": None, "list": None, "map": None, "st": None,
    },
]  # fmt: skip


def texts(path: Path, kind: Format, uri: str | None = None) -> list[str]:
    file = open_records(path, SourceFormat(format=kind), uri=uri or f"s3://raw/{path.name}")
    assert file.names is None
    found: list[str] = []
    row = 0
    for batch in file.batches():
        assert tuple(batch.schema.names) == NESTED_COLUMNS
        for one in batch.to_pylist():
            row += 1
            assert (one["row"], one["reason"], one["raw"]) == (row, None, None)
            found.append(one["record"])
    return found


def parsed(found: list[str]) -> list[Any]:
    """With the digits of decimals kept, where the record says a decimal."""
    return [
        json.loads(text, parse_float=lambda one: Decimal(one) if len(one) < 12 and "e" not in one else float(one))
        for text in found
    ]


def same(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(right, float) and isinstance(left, Decimal):
        return float(left) == right
    return bool(left == right) and (not isinstance(right, Decimal) or format(left, "f") == format(right, "f"))


def test_parquet_keeps_every_digit(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "it.parquet")
    found = parsed(texts(tmp_path / "it.parquet", "parquet"))
    assert len(found) == len(RECORDS)
    for left, right in zip(found, RECORDS, strict=True):
        assert [key for key in right if not same(left[key], right[key])] == []


def test_orc_reads_the_same(tmp_path: Path) -> None:
    table = TABLE.drop_columns(["instant"])
    orc.write_table(table, tmp_path / "it.orc")
    found = parsed(texts(tmp_path / "it.orc", "orc"))
    for left, right in zip(found, RECORDS, strict=True):
        wrong = [key for key in table.column_names if key != "at" and not same(left[key], right[key])]
        assert wrong == []
    assert str(found[0]["at"]).startswith("2026-01-02 03:04:05.000678")


def test_files_of_many_rows_come_in_batches_and_keep_their_numbers(tmp_path: Path) -> None:
    table = pa.table({"n": range(50_000), "l": [[n, n + 1] if n % 3 else None for n in range(50_000)]})
    pq.write_table(table, tmp_path / "it.parquet", row_group_size=7_000)
    found = texts(tmp_path / "it.parquet", "parquet")
    assert found[49_999] == '{"n": 49999, "l": [49999, 50000]}'
    assert found[3] == '{"n": 3, "l": null}'


def test_a_compressed_parquet_file_is_unpacked(tmp_path: Path) -> None:
    pq.write_table(TABLE.select(["i"]), tmp_path / "it.parquet")
    packed = tmp_path / "it.parquet.gz"
    packed.write_bytes(gzip.compress((tmp_path / "it.parquet").read_bytes()))
    assert texts(packed, "parquet")[2] == '{"i": -1}'


SCHEMA = {
    "type": "record",
    "name": "post",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}]},
        {"name": "raw", "type": "bytes"},
        {"name": "tags", "type": {"type": "map", "values": ["null", "double"]}},
        {"name": "kind", "type": {"type": "enum", "name": "kind", "symbols": ["A", "B"]}},
    ],
}
POST = {
    "id": 2**60 + 1,
    "price": Decimal("10.50"),
    "at": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "day": datetime.date(2026, 1, 2),
    "raw": b"\xff",
    "tags": {"a": 0.1, "b": None},
    "kind": "B",
}
POST_TEXT = (
    '{"id": 1152921504606846977, "price": 10.50, "at": "2026-01-02 03:04:05+00:00", "day": "2026-01-02", '
    '"raw": "/w==", "tags": {"a": 0.1, "b": null}, "kind": "B"}'
)


def avro(path: Path, count: int = 1, codec: str = "null") -> Path:
    with path.open("wb") as out:
        fastavro.writer(out, SCHEMA, [POST] * count, codec=codec, sync_interval=1000)
    return path


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz"])
def test_avro_keeps_every_digit(codec: str, tmp_path: Path) -> None:
    assert texts(avro(tmp_path / "it.avro", 100, codec), "avro") == [POST_TEXT] * 100


@pytest.mark.parametrize("codec", ["snappy", "zstandard", "lz4"])
def test_avro_of_codecs_that_its_library_lacks(codec: str, tmp_path: Path) -> None:
    data = avro(tmp_path / "plain.avro").read_bytes()
    with (tmp_path / "plain.avro").open("rb") as file:
        header = avro_blocks.read_header(file, "x")
        [(count, block)] = avro_blocks.blocks(file, header, "x")
    if codec == "snappy":
        import zlib

        packed = pa.compress(block, codec="snappy", asbytes=True) + zlib.crc32(block).to_bytes(4, "big")
    else:
        packed = pa.compress(block, codec="zstd", asbytes=True)
    start = data[: data.index(header.sync) + 16].replace(b"\x08null", bytes([2 * len(codec)]) + codec.encode())
    size = len(packed) * 2
    path = tmp_path / "it.avro"
    path.write_bytes(start + bytes([count * 2, size & 0x7F | 0x80, size >> 7]) + packed + header.sync)
    if codec == "lz4":
        with pytest.raises(Unsupported, match="'lz4'"):
            texts(path, "avro")
    else:
        assert texts(path, "avro") == [POST_TEXT]


@pytest.mark.parametrize("kind", ["parquet", "orc", "avro"])
def test_what_is_broken_or_something_else_is_refused(kind: Format, tmp_path: Path) -> None:
    whole = tmp_path / f"whole.{kind}"
    if kind == "parquet":
        pq.write_table(TABLE, whole)
    elif kind == "orc":
        orc.write_table(TABLE.select(["i", "s"]), whole)
    else:
        avro(whole, 100)
    data = whole.read_bytes()
    path = tmp_path / f"it.{kind}"
    for share in (0.3, 0.7, 0.95):
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(UnreadableObject, match=r"broken|truncated"):
            texts(path, kind)
    path.write_bytes(b"id,name\n1,2\n")
    with pytest.raises(UnreadableObject, match=f"expected a {kind} file"):
        texts(path, kind)
    path.write_bytes(b"")
    with pytest.raises(EmptyObject):
        texts(path, kind)


def test_encrypted_parquet_says_so(tmp_path: Path) -> None:
    (tmp_path / "it.parquet").write_bytes(b"PARE" + bytes(100) + b"PARE")
    with pytest.raises(UnreadableObject, match="is encrypted Parquet"):
        texts(tmp_path / "it.parquet", "parquet")


def test_damaged_avro_never_escapes_as_another_error(tmp_path: Path) -> None:
    data = avro(tmp_path / "whole.avro", 5).read_bytes()
    path = tmp_path / "it.avro"
    for position in range(4, len(data), 3):
        damaged = bytearray(data)
        damaged[position] ^= 0x5A
        path.write_bytes(bytes(damaged))
        with contextlib.suppress(UnreadableObject, Unsupported):
            texts(path, "avro")
