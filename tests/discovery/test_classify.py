"""Every format is recognised by what an object holds, whatever its name, compression and encoding."""

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from datalake_assets.discovery.classifiers.classify import classify
from datalake_assets.formats.known_logs import KNOWN_LOGS
from tests.discovery.samples import sample
from tests.formats.log_samples import SAMPLES

TABLE = pa.table({"id": range(2_000), "name": [f"name {n * 7919}" for n in range(2_000)]})
CSV = "id;name;price\n" + "".join(f"{n};Straße {n * 7};{n * 1.5:.2f}\n" for n in range(300))
LINES = "".join(f'{{"id": {n}, "name": "größe {n}"}}\n' for n in range(300))


def written(kind: str) -> bytes:
    out = io.BytesIO()
    if kind == "parquet":
        pq.write_table(TABLE, out)
    elif kind == "orc":
        orc.write_table(TABLE, out)
    else:
        schema = {"type": "record", "name": "r", "fields": [{"name": "id", "type": "long"}]}
        fastavro.writer(out, schema, [{"id": n} for n in range(2_000)])
    return out.getvalue()


def words(content: bytes | str, name: str = "it", **kept: Any) -> dict[str, Any]:
    """The words of `source:` that are not defaults, with the certainty."""
    found = classify(sample(content, name, **kept))
    assert found.reason
    assert 0 <= found.certainty <= 1
    assert found.source is not None, found.reason
    told = found.source.model_dump(exclude_defaults=True)
    return told | {"format": found.source.format, "certainty": found.certainty}


@pytest.mark.parametrize("kind", ["parquet", "orc", "avro"])
@pytest.mark.parametrize("head_bytes", [300, 1 << 20])
def test_binary_formats_are_certain(kind: str, head_bytes: int) -> None:
    assert words(written(kind), head_bytes=head_bytes) == {"format": kind, "certainty": 1.0}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (LINES, {"layout": "lines"}),
        ("[" + ",".join(LINES.splitlines()) + "]", {"layout": "array"}),
        (json.dumps(json.loads("[" + ",".join(LINES.splitlines()) + "]"), indent=2), {"layout": "array"}),
        (LINES.replace("\n", ""), {"layout": "concatenated"}),
        ("".join(json.dumps(json.loads(line), indent=1) for line in LINES.splitlines()), {"layout": "concatenated"}),
        ('{"count": 2, "data": {"items": [{"id": 1}, {"id": 2}]}}', {"layout": "document", "records": "data.items"}),
        ('{"Records": [{"id": 1}]}', {"layout": "document", "records": "Records"}),
        (json.dumps({"flights": [{"id": n} for n in range(50)]}), {"layout": "document", "records": "flights"}),
        (json.dumps({"id": 1, "title": "a post", "author": {"name": "x"}, "text": "long " * 20, "likes": 3, "tags": [],
                     "comments": [{"by": "y", "text": "short"}, {"by": "z", "text": "nice"}]}, indent=1),
         {"layout": "document"}),
        ('{"id": 1, "tags": ["a"], "user": {"name": "x"}}\n', {"layout": "lines"}),
        ('{"response": {"n": 1, "items": [{"id": 1}, {"id": 2}]}}\n',
         {"layout": "document", "records": "response.items"}),
    ],
)  # fmt: skip
def test_json_is_told_with_its_layout(text: str, expected: dict[str, str]) -> None:
    found = words(text)
    assert found.pop("certainty") >= 0.75
    assert found == {"format": "json"} | expected


@pytest.mark.parametrize("text", [LINES, "[" + LINES.replace("}\n", "},\n"), LINES.replace("\n", "")])
def test_a_sample_that_ends_within_a_record_is_as_good(text: str) -> None:
    assert words(text, head_bytes=5_003)["certainty"] == 0.99


def test_a_document_larger_than_the_sample_shows_where_its_records_are() -> None:
    text = '{"meta": {"page": 1}, "results": [' + ",".join(LINES.splitlines()) + "]}"
    found = words(text, head_bytes=5_003)
    assert found["records"] == "results"


def test_json_logs_are_logs() -> None:
    text = '{"ts": "2026-01-01T00:00:00Z", "level": "info", "msg": "it", "n": 1}\n' * 5
    found = classify(sample(text))
    assert found.classifier == "json_log"
    assert found.source is not None
    assert found.source.layout == "lines"


@pytest.mark.parametrize("name", KNOWN_LOGS)
def test_known_logs_are_recognised(name: str) -> None:
    found = classify(sample(SAMPLES[name].text * 3))
    assert (found.classifier, found.source and found.source.pattern) == (name, name)
    assert found.certainty >= 0.95
    assert found.source is not None
    assert found.source.null_values == ("", "-")


def test_stack_traces_do_not_make_a_log_less_certain() -> None:
    text = (
        "2026-01-02 03:04:05,678 ERROR [main] c.e.App - it failed\n"
        "java.lang.IllegalStateException: no\n\tat c.e.App.run(App.java:17)\nCaused by: c.e.Odd: why\n"
    ) * 20
    assert classify(sample(text)).certainty >= 0.98


XML = "<?xml version='1.0'?><shop><name>x</name>{}</shop>"
ITEM = "<item id='1'><title>T</title><tag>a</tag><tag>b</tag></item>"


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        (XML.format(ITEM * 50), "item"),
        ("<rss><channel><link/><link/>" + ITEM * 20 + "</channel></rss>", "item"),
        ("<feed><link a='1'/><link/><entry><a/><b/></entry><entry><a/><b/></entry></feed>", "entry"),
        ("<a><only><x>1</x><y>2</y></only></a>", "only"),
    ],
)
def test_xml_is_told_with_its_row(text: str, tag: str) -> None:
    assert words(text)["row_tag"] == tag
    assert words(text.encode("utf-16").replace(b"'1.0'", b"'1.0'"))["row_tag"] == tag


def test_xml_beyond_the_sample_is_told_too() -> None:
    assert words(XML.format(ITEM * 500), head_bytes=4_000)["row_tag"] == "item"


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: bytes(pa.compress(data, codec="zstd", asbytes=True)),
}
ENDS = {"gzip": "gz", "bzip2": "bz2", "xz": "xz", "zstd": "zst", "zip": "zip"}


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize("compression", ["gzip", "bzip2", "xz", "zstd", "zip"])
@pytest.mark.parametrize(("text", "kind"), [(CSV, "csv"), (LINES, "json"), (XML.format(ITEM * 50), "xml")])
def test_compressed_objects_are_looked_into(compression: str, text: str, kind: str) -> None:
    data = text.encode()
    packed = zipped({"a.txt": data}) if compression == "zip" else PACK[compression](data)
    told = words(packed, f"it.{kind}.{ENDS[compression]}")
    assert told["format"] == kind
    assert "compression" not in told
    assert words(packed, "it")["compression"] == compression


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"])
@pytest.mark.parametrize("text", [CSV, LINES])
def test_texts_of_any_encoding_are_recognised(encoding: str, text: str) -> None:
    told = words(text.encode(encoding))
    assert told["format"] in ("csv", "json")
    data = text.encode(encoding)
    assert data.decode(told.get("encoding", "utf-8")).removeprefix("\ufeff") == text


def test_content_wins_over_a_wrong_name_and_says_so() -> None:
    found = classify(sample(gzip.compress(LINES.encode()), "it.csv"))
    assert found.source is not None
    assert (found.source.format, found.source.compression) == ("json", "gzip")
    assert "its name says csv, its content json" in found.reason
    assert "gzip data, which its name does not say" in found.reason
    assert words(CSV, "it.csv.gz")["compression"] == "none"


def test_a_csv_of_one_column_is_one_of_low_certainty() -> None:
    found = classify(sample("id\n" + "".join(f"{n}\n" for n in range(100)), "ids.csv"))
    assert found.source is not None
    assert found.source.format == "csv"
    assert found.certainty < 0.6


@pytest.mark.parametrize(
    "text",
    [
        "import os\n\ndef f(x, y):\n    return x + y\n\nprint(f(1, 2))\n",
        "CREATE TABLE t (a int, b int);\nINSERT INTO t VALUES (1, 2);\nINSERT INTO t VALUES (3, 4);\n",
        "public class A {\n  private int a, b;\n  void f(int x, int y) {\n    return;\n  }\n}\n",
        '[1,2,"x",null]',
    ],
)
def test_programs_and_arrays_without_records_are_no_table(text: str) -> None:
    assert classify(sample(text)).classifier == "UNKNOWN"


def test_objects_that_share_a_line_are_read_one_after_the_other() -> None:
    assert words('{"a":1}{"a":2}\n\n{"a":3}') == {"format": "json", "layout": "concatenated", "certainty": 0.99}


def test_a_long_object_on_one_line_is_json() -> None:
    text = json.dumps({"items": {str(n): {"a": n, "b": "x, y"} for n in range(2_000)}})
    found = classify(sample(text, head_bytes=20_000))
    assert (found.classifier, found.certainty > 0.8) == ("json", True)


def test_one_wrong_byte_does_not_change_the_encoding() -> None:
    rows = "".join(f"{n},grüße\n" for n in range(20)).encode()
    assert words(b"id,name\n" + rows + b"99,gr\x81\n100,ok\n").keys() == {"format", "certainty"}


def test_the_reason_and_what_was_tried_are_told() -> None:
    found = classify(sample(CSV))
    assert found.classifier == "csv"
    assert {name for name, _, _ in found.tried} >= {"parquet", "avro", "orc", "json", "xml"}
    assert all(reason for _, _, reason in found.tried)
    assert found.details


def test_files_of_one_kind_in_a_zip_are_one_text_and_others_are_refused() -> None:
    data = CSV.encode()
    assert "2 files in the zip archive" in classify(sample(zipped({"a.csv": data, "b.csv": data}), "x.zip")).reason
    found = classify(sample(zipped({"a.csv": data, "readme.txt": b"Read me."}), "x.zip"))
    assert not found.is_known
    assert "files of different kinds (csv, txt)" in found.reason
