"""Tell how an object is written: own classifiers first, then the built-in ones.

Own classifiers are asked in their order and one that is certain (1.0) wins at once. Otherwise the highest certainty of
all wins, the earlier one if two are equal. Nobody knows: UNKNOWN, with the reason. What an object holds counts, not
what it is called.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from datalake_assets.discovery.classifiers.builtin import Classifier, Verdict, avro, delimited, orc, parquet
from datalake_assets.discovery.classifiers.classification import Classification
from datalake_assets.discovery.classifiers.content import Content, content_of
from datalake_assets.discovery.classifiers.json_classifier import json_text
from datalake_assets.discovery.classifiers.log_classifier import known_log
from datalake_assets.discovery.classifiers.sample import Sample
from datalake_assets.discovery.classifiers.xml_classifier import xml_text

if TYPE_CHECKING:
    from datalake_assets.discovery.classifiers.custom import CustomClassifier
    from datalake_assets.formats.source_format import SourceFormat

UNKNOWN = "UNKNOWN"
MIN_CERTAINTY = 0.15
# Nothing that is asked later can be more certain than this: it is not asked.
_ENOUGH = 0.98

_BINARY: tuple[Classifier, ...] = (parquet, orc, avro)
# The strict ones first: logs and JSON are delimited texts too.
_TEXT: tuple[Classifier, ...] = (json_text, xml_text, known_log, delimited)
_FORMAT_OF_END = {
    "csv": "csv", "tsv": "csv", "psv": "csv", "json": "json", "jsonl": "json", "ndjson": "json", "xml": "xml",
    "parquet": "parquet", "pq": "parquet", "avro": "avro", "orc": "orc",
}  # fmt: skip
_COMPRESSED_ENDS = ("gz", "gzip", "bz2", "zst", "zstd", "xz", "zip")


def classify(sample: Sample, custom: "Sequence[CustomClassifier]" = (), *, wanted: str | None = None) -> Classification:
    """Tell how the object is written that `sample` is the beginning of.

    Takes bounded time and memory whatever the bytes are, and says why it does not know what it does not know.

    Args:
        custom: own classifiers, in the order in which they are asked.
        wanted: the name of one of them that is taken if a single record matches.

    Raises:
        PlatformError: the object cannot be fetched.
    """
    content = content_of(sample)
    if content.problem is not None:
        return Classification(UNKNOWN, 0.0, f"the object {content.problem}")
    verdicts: list[Verdict] = []
    for own in custom:
        verdict = own.judge(content)
        verdicts.append(verdict)
        if verdict.certainty >= 1.0 or (verdict.classifier == wanted and verdict.certainty > 0):
            return _known(verdict, verdicts, content)
    for verdict in _built_in(content):
        verdicts.append(verdict)
        if verdict.is_final or verdict.certainty >= _ENOUGH:
            break
    best = max(verdicts, key=lambda one: one.certainty)
    if best.certainty < MIN_CERTAINTY or not (best.words or best.source):
        return _unknown(verdicts, content)
    return _known(best, verdicts, content)


def _built_in(content: Content) -> Iterator[Verdict]:
    for classifier in _BINARY:
        yield classifier(content)
    if not content.encoding.is_text:
        return
    for classifier in _TEXT:
        yield classifier(content)


def _known(best: Verdict, verdicts: list[Verdict], content: Content) -> Classification:
    source = _source(best, content)
    notes = [best.reason]
    if content.note:
        notes.append(content.note)
    if odd := _odd_name(source, content):
        notes.append(odd)
    tried = tuple((one.classifier, one.certainty, one.reason) for one in verdicts if one is not best)
    return Classification(best.classifier, best.certainty, "; ".join(notes), source, tried, dict(best.details))


def _unknown(verdicts: list[Verdict], content: Content) -> Classification:
    tried = tuple((one.classifier, one.certainty, one.reason) for one in verdicts)
    if final := next((one for one in verdicts if one.is_final), None):
        return Classification(UNKNOWN, 0.0, f"the object {final.reason}", tried=tried)
    if not content.encoding.is_text:
        return Classification(UNKNOWN, 0.0, f"the object {content.why_no_text()}", tried=tried)
    nearest = max(verdicts, key=lambda one: one.certainty)
    told = "the object is text without a structure that could be found"
    if nearest.certainty > 0:
        told += f" (nearest: {nearest.classifier}, {nearest.reason})"
    return Classification(UNKNOWN, 0.0, told, tried=tried)


def _source(best: Verdict, content: Content) -> "SourceFormat":
    from datalake_assets.formats.source_format import SourceFormat

    if best.source is not None:
        words: dict[str, object] = {}
        if best.source.compression == "auto":
            words["compression"] = content.compression_word
        if "encoding" not in best.source.model_fields_set and best.source.format in ("csv", "json", "log"):
            words["encoding"] = _codec(content)
        return best.source.model_copy(update=words)
    words = dict(best.words) | {"compression": content.compression_word}
    if words["format"] in ("json", "log"):
        words["encoding"] = _codec(content)
    return SourceFormat.model_validate(words)


def _codec(content: Content) -> str:
    import codecs

    return codecs.lookup(content.encoding.name or "utf-8").name


def _odd_name(source: "SourceFormat", content: Content) -> str:
    """What the name of the object says that its bytes do not."""
    parts = content.sample.uri.rsplit("/", 1)[-1].lower().split(".")[1:]
    told = []
    if content.compression_word != "auto":
        is_packed = content.compression != "none"
        told.append(f"is {content.compression} data, which its name does not say" if is_packed else "is not compressed")
    while parts and parts[-1] in _COMPRESSED_ENDS:
        parts.pop()
    expected = _FORMAT_OF_END.get(parts[-1]) if parts else None
    if expected and expected != source.format:
        told.append(f"its name says {parts[-1]}, its content {source.format}")
    return ", ".join(told)
