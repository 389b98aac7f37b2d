"""What cannot be read is refused with its reason, within bounded time and memory."""

import gzip
import io
import json
import os
import random
import tracemalloc
import zipfile
import zlib
from typing import BinaryIO

import pyarrow.parquet as pq
import pytest

from datalake_assets.discovery.classifiers.classify import UNKNOWN, classify
from datalake_assets.discovery.classifiers.sample import SAMPLE_BYTES, Sample
from datalake_assets.errors import AccessDenied
from tests.discovery.samples import sample
from tests.discovery.test_classify import CSV, ITEM, LINES, TABLE, XML, written, zipped

PROSE = """The harbour lay quiet when the first boats came in. Nobody spoke; the nets were full,
and that was enough. An old man counted crates, slowly, as he had done for forty years.
Prices had fallen again. "It will be a long winter," said the woman from the office.

She was right, of course. By November half of the boats were laid up, and the young people
went to the city to look for work. Some wrote letters: short ones, with no address.
In spring a ship arrived that no one knew. Its captain asked for water, bread and news.
They gave him all three. He paid in coins that the bank had never seen; the clerk laughed
and put them into a drawer, where they still are.

Years later a boy found the drawer open. What he did next is another story, told elsewhere,
by people who were there. This one ends here: with rain on the roofs, a dog on the pier
and the light at the end of the mole going on and off, on and off."""


def why(content: bytes | str, name: str = "it", **kept: int) -> str:
    found = classify(sample(content, name, **kept))
    assert (found.classifier, found.source, found.certainty) == (UNKNOWN, None, 0.0), found.reason
    return found.reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the object has zero bytes"),
        (b"\n \r\n", "the object holds nothing but blank lines"),
        (gzip.compress(b""), "the object is empty once decompressed"),
        (PROSE, "text without a structure"),
        (bytes(5_000), "is one byte repeated"),
        (random.Random(3).randbytes(20_000), "as random as noise"),
        (b"Salted__" + os.urandom(500), r"is encrypted \(OpenSSL\)"),
        (b"-----BEGIN PGP MESSAGE-----\n\nhQ==\n", r"is encrypted \(PGP\)"),
        (b"age-encryption.org/v1\n" + os.urandom(200), r"is encrypted \(age\)"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "is a PDF document"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "is a PNG image"),
        (b"\x7fELF\x02\x01\x01" + bytes(100), "is a program"),
        (b"PARE" + bytes(100), "is an encrypted Parquet file"),
        (b"\x00\x01\x02\x03binary\xff\xfe" * 100, "is binary data"),
        ("<!DOCTYPE html><html><body><table><tr><td>1</td></tr></table></body></html>", "is an HTML page"),
    ],
)  # fmt: skip
def test_what_holds_no_records_is_unknown_with_its_reason(content: bytes | str, reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(why(content))


@pytest.mark.parametrize("kind", ["parquet", "orc", "avro"])
def test_a_truncated_binary_file_is_refused(kind: str) -> None:
    data = written(kind)
    share = 0.5 if kind != "avro" else 0.001
    assert "begins" in why(data[: max(int(len(data) * share), 20)], f"it.{kind}")


@pytest.mark.parametrize("packed", [gzip.compress(CSV.encode()), zipped({"a.csv": CSV.encode()})])
def test_a_truncated_compressed_file_is_refused(packed: bytes) -> None:
    assert "truncated" in why(packed[:-30])


def test_a_beginning_of_a_large_compressed_file_is_not_taken_for_truncated() -> None:
    rows = "".join(f"{n};{random.Random(n).random()}\n" for n in range(20_000))
    assert classify(sample(gzip.compress(("id;value\n" + rows).encode()), head_bytes=20_000)).is_known


def test_truncated_json_and_xml_are_refused() -> None:
    assert "ends in the middle" in why('{"id": 1, "user": {"name": ')
    assert "truncated" in why("<?xml version='1.0'?><d><row>1</row>")


def test_a_truncated_last_line_spoils_no_file() -> None:
    assert classify(sample(LINES[:-10])).is_known
    assert classify(sample(CSV[:-10])).is_known


def test_an_encrypted_zip_is_refused() -> None:
    data = bytearray(zipped({"a.csv": CSV.encode()}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    assert "encrypted" in why(bytes(data))


def test_office_documents_and_archives_within_archives_are_refused() -> None:
    assert "Office document" in why(zipped({"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"}), "it.xlsx")
    assert "a zip archive within zip data" in why(zipped({"inner.zip": zipped({"a.csv": b"a,b\n"})}))
    assert "gzip data within gzip data" in why(gzip.compress(gzip.compress(CSV.encode())))


def bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(1 << 20)
    return b"".join(packer.compress(zeros) for _ in range(megabytes)) + packer.flush()


def peak_of(one: Sample) -> tuple[str, int]:
    tracemalloc.start()
    reason = classify(one).reason
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return reason, peak


def test_a_gzip_bomb_is_refused_in_little_memory() -> None:
    reason, peak = peak_of(sample(bomb(40)))
    assert "zip bomb" in reason
    assert peak < 16 * SAMPLE_BYTES


def test_a_zip_that_says_it_expands_to_terabytes_is_refused_unread() -> None:
    data = bytearray(zipped({"a.csv": CSV.encode()}))
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = (0xFFFFFFF0).to_bytes(4, "little")
    assert "is a zip bomb" in why(bytes(data))


def test_a_line_without_end_is_looked_at_only_at_its_beginning() -> None:
    fetched: list[int] = []

    def opened() -> BinaryIO:
        fetched.append(1)
        return io.BytesIO()

    for begin in (b'{"a": "', b"x", b"[1, ", b"<a>", b"a,b,"):
        one = Sample("s3://raw/huge", begin + b"x" * (SAMPLE_BYTES - len(begin)), 1 << 30, opened)
        reason, peak = peak_of(one)
        assert reason
        assert peak < 40 * SAMPLE_BYTES
    assert not fetched


@pytest.mark.parametrize("deep", ['{"a":' * 10_000 + "1" + "}" * 10_000, "[" * 10_000 + "]" * 10_000])
def test_ten_thousand_levels_of_json_are_refused(deep: str) -> None:
    found = classify(sample(deep))
    assert not found.is_known
    assert "nested" in found.reason or "structure" in found.reason
    lines = '{"ok": 1}\n' * 50 + '{"a":' * 10_000 + "1" + "}" * 10_000 + "\n"
    assert classify(sample(lines)).is_known


def test_ten_thousand_levels_of_xml_are_classified_or_refused() -> None:
    assert classify(sample("<a>" * 10_000 + "</a>" * 10_000)).reason
    assert classify(sample(XML.format(ITEM * 20 + "<a>" * 10_000 + "</a>" * 10_000))).is_known


def test_entity_bombs_are_refused() -> None:
    text = '<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><d><r>&b;</r><r/></d>'
    assert "declares the entity" in why(text)


def test_a_denied_object_is_an_error_of_its_own() -> None:
    out = io.BytesIO()
    pq.write_table(TABLE, out)
    data = out.getvalue()

    def denied() -> BinaryIO:
        raise AccessDenied("access is denied", where="s3://raw/it")

    with pytest.raises(AccessDenied):
        classify(Sample("s3://raw/it", data[:1000], len(data), denied))


def test_damaged_objects_never_raise() -> None:
    noise = random.Random(11)
    wholes = [CSV.encode(), LINES.encode(), XML.format(ITEM * 20).encode(), written("parquet"), written("avro"),
              written("orc"), gzip.compress(CSV.encode()), zipped({"a.csv": CSV.encode()}),
              json.dumps([1]).encode()]  # fmt: skip
    for whole in wholes:
        for _ in range(12):
            damaged = bytearray(whole[: noise.randrange(1, len(whole) + 1)])
            for _ in range(noise.randrange(4)):
                damaged[noise.randrange(len(damaged))] = noise.randrange(256)
            assert classify(sample(bytes(damaged))).reason


def test_a_zip_with_members_of_no_size_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("empty.csv", b"")
    assert "no file with any content" in why(out.getvalue())
