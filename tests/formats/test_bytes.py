"""Raw bytes come out decompressed and decoded, piece by piece, or are refused with a reason."""

import bz2
import gzip
import io
import lzma
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from datalake_assets.errors import UnreadableObject
from datalake_assets.formats import bytes as raw_bytes
from datalake_assets.formats.bytes import (
    byte_chunks,
    compression_by_name,
    compression_of,
    detect_compression,
    open_bytes,
    text_chunks,
)
from datalake_assets.formats.source_format import SourceFormat

TEXT = b"id,name\n" + b"".join(b"%d,row %d\n" % (n, n * 7919) for n in range(20_000))


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


def zipped(members: dict[str, bytes] | None = None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (members or {}).items():
            archive.writestr(name, content)
    return out.getvalue()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd,
    "zip": lambda data: zipped({"data": data}),
    "none": lambda data: data,
}


def stored(folder: Path, data: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("compression", COMPRESS)
def test_every_compression_is_recognised_and_read(compression: str, tmp_path: Path) -> None:
    data = COMPRESS[compression](TEXT)
    path = stored(tmp_path, data)
    assert detect_compression(data[:16]) == compression
    assert b"".join(byte_chunks(path, compression, "s3://raw/x")) == TEXT
    with open_bytes(path, compression, "s3://raw/x") as opened:
        assert opened.read(7) == b"id,name"
        assert opened.read() == TEXT[7:]


@pytest.mark.parametrize("compression", ["gzip", "bzip2", "xz", "zstd"])
def test_members_follow_one_another(compression: str, tmp_path: Path) -> None:
    path = stored(tmp_path, COMPRESS[compression](TEXT[:1000]) + COMPRESS[compression](TEXT[1000:]))
    assert b"".join(byte_chunks(path, compression, "x")) == TEXT


@pytest.mark.parametrize("compression", ["gzip", "bzip2", "xz", "zstd", "zip"])
@pytest.mark.parametrize("share", [0.1, 0.6, 0.99])
def test_a_truncated_file_is_refused_with_its_reason(compression: str, share: float, tmp_path: Path) -> None:
    data = COMPRESS[compression](TEXT)
    path = stored(tmp_path, data[: int(len(data) * share)])
    with pytest.raises(UnreadableObject, match=r"s3://raw/x: .*truncated"):
        list(byte_chunks(path, compression, "s3://raw/x"))


@pytest.mark.parametrize("compression", ["gzip", "bzip2", "xz", "zip"])
def test_a_flipped_byte_is_refused(compression: str, tmp_path: Path) -> None:
    data = bytearray(COMPRESS[compression](TEXT))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(UnreadableObject, match=r"broken|truncated"):
        list(byte_chunks(stored(tmp_path, bytes(data)), compression, "x"))


def test_a_bomb_takes_little_memory_and_is_refused_past_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_bytes, "EXPANSION_FLOOR_BYTES", 64 << 20)
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(1 << 20)
    data = b"".join(packer.compress(zeros) for _ in range(100)) + packer.flush()
    path = stored(tmp_path, data)
    tracemalloc.start()
    with pytest.raises(UnreadableObject, match="zip bomb"):
        for _ in byte_chunks(path, "gzip", "x"):
            pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


def test_what_the_name_says_is_checked_against_the_bytes() -> None:
    auto = SourceFormat()
    assert compression_of(auto, "a/b.csv.GZ", gzip.compress(b"x")) == "gzip"
    assert compression_by_name("a/b.zst") == "zstd"
    with pytest.raises(UnreadableObject, match="is not compressed; expected gzip data"):
        compression_of(auto, "b.csv.gz", b"id,name\n")
    with pytest.raises(UnreadableObject, match="is a zip archive; expected not compressed"):
        compression_of(auto, "b.csv", zipped({"a": b"x"}))
    assert compression_of(SourceFormat(compression="gzip"), "b.csv", gzip.compress(b"x")) == "gzip"


def test_members_of_a_zip_are_one_text_with_one_header(tmp_path: Path) -> None:
    data = zipped(
        {"a.csv": b"id,name\n1,x", "in/b.csv": b"id,name\n2,y\n", "__MACOSX/._a.csv": b"litter", "empty": b""}
    )
    path = stored(tmp_path, data, "x.zip")
    assert "".join(text_chunks(path, SourceFormat(), "x.zip")) == "id,name\n1,x\n2,y\n"
    assert "".join(text_chunks(path, SourceFormat(header=0), "x.zip")) == "id,name\n1,x\nid,name\n2,y\n"


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped({"a": TEXT}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    with pytest.raises(UnreadableObject, match="encrypted"):
        list(byte_chunks(stored(tmp_path, bytes(data)), "zip", "x"))


def test_an_archive_with_a_directory_too_large_to_hold_is_refused_unread(tmp_path: Path) -> None:
    data = bytearray(zipped({"a": TEXT}))
    end = data.rindex(b"PK\x05\x06")
    data[end + 12 : end + 16] = (1 << 30).to_bytes(4, "little")
    with pytest.raises(UnreadableObject, match="directory of 1,073,741,824 bytes"):
        list(byte_chunks(stored(tmp_path, bytes(data)), "zip", "x"))


def test_an_archive_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableObject, match="no file"):
        list(byte_chunks(stored(tmp_path, zipped()), "zip", "x"))


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("cp1252", "cp1252"),
    ],
)
def test_text_comes_without_its_byte_order_mark(encoding: str, declared: str, tmp_path: Path) -> None:
    text = "id;größe\r\n1;„ä“\r\n" * 1000
    path = stored(tmp_path, text.encode(encoding))
    assert "".join(text_chunks(path, SourceFormat(encoding=declared), "x")) == text


def test_a_wrong_byte_fails_the_file_or_stays_as_a_surrogate(tmp_path: Path) -> None:
    path = stored(tmp_path, "ok\nm\xfcll\n".encode("latin-1"))
    with pytest.raises(UnreadableObject, match="not text in utf-8"):
        list(text_chunks(path, SourceFormat(), "x"))
    assert "".join(text_chunks(path, SourceFormat(), "x", errors="surrogateescape")) == "ok\nm\udcfcll\n"


def test_utf16_under_the_name_of_utf8_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = stored(tmp_path, "id,name\n".encode("utf-16"))
    with pytest.raises(UnreadableObject, match=r"Set source\.encoding to utf-16"):
        list(text_chunks(path, SourceFormat(), "x", errors="surrogateescape"))
