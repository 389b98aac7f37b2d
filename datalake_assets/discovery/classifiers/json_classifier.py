"""JSON: how the records are laid out, and where they are within a document."""

import re
from dataclasses import dataclass

from datalake_assets.discovery.classifiers.builtin import Verdict
from datalake_assets.discovery.classifiers.content import Content
from datalake_assets.formats.json_records import detect_layout
from datalake_assets.formats.json_text import JsonScanner, why_no_record

# Nothing but JSON begins like this.
_SURE = re.compile(r'\{\s*"|\[\s*\{\s*"')
LOOKED_AT = 200  # lines or records
_MAX_PATH = 4
# Members that usually hold the records of an answer or an export.
_ENVELOPES = frozenset((
    "data", "items", "results", "result", "records", "rows", "values", "value", "entries", "hits", "features",
    "elements", "list", "events", "documents", "docs", "objects", "content", "response", "payload",
))  # fmt: skip
_TIMES = frozenset(("time", "timestamp", "@timestamp", "ts", "asctime", "date", "datetime", "t", "@t", "eventtime"))
_LEVELS = frozenset(("level", "severity", "lvl", "loglevel", "log.level", "levelname", "@l", "log_level"))
_MESSAGES = frozenset(("msg", "message", "event", "text", "@m", "@mt", "short_message"))


def json_text(content: Content) -> Verdict:
    text = content.text.lstrip()
    if text[:1] not in ("{", "["):
        return Verdict("json", 0.0, "does not begin with { or [")
    is_one_line = "\n" not in text.rstrip()
    if detect_layout(text) == "lines" and not is_one_line:
        return _lines(content)
    records, broken, is_cut = _values(text, is_complete=content.is_complete)
    if not records and not broken and is_cut is None:
        return Verdict("json", 0.0, "begins as JSON but holds no record")
    if text[0] == "[":
        if not records and content.is_complete and _is_json(text):
            told = "is a JSON array without any object, which holds no records"
            return Verdict("json", 0.0, told, is_final=True)
        return _array(records, broken, is_cut)
    if (len(records) + len(broken)) <= 1:
        verdict = _document(text, records, broken, is_cut)
        if is_one_line and records and "records" not in verdict.words:
            return _lines(content)
        return verdict
    words = {"format": "json", "layout": "concatenated"}
    reason = f"{len(records)} of {len(records) + len(broken)} objects, one after the other, are valid JSON"
    return _verdict(len(records), len(broken), reason + _first(broken), words)


def _lines(content: Content) -> Verdict:
    lines = [line for line in (one.strip() for one in content.whole_lines.split("\n")) if line][:LOOKED_AT]
    reasons = [why_no_record(line) for line in lines]
    good = [line for line, reason in zip(lines, reasons, strict=True) if reason is None]
    broken = [reason for reason in reasons if reason is not None]
    reason = f"{len(good)} of {len(lines)} lines are JSON objects{_first(broken)}"
    verdict = _verdict(len(good), len(broken), reason, {"format": "json", "layout": "lines"})
    if good and _is_log(good):
        told = f"{reason}, with a time, a level and a message as logs have"
        return Verdict("json_log", verdict.certainty, told, verdict.words)
    return verdict


def _verdict(good: int, broken: int, reason: str, words: dict[str, str]) -> Verdict:
    share = good / max(good + broken, 1)
    # One record is little to go by; a broken one among many is nothing unusual.
    certainty = round(share * (0.99 if good > 1 else 0.9), 3)
    return Verdict("json", certainty if share >= 0.5 else round(share / 2, 3), reason, dict(words))


def _values(text: str, *, is_complete: bool) -> tuple[list[str], list[str], str | None]:
    """The first records, the reasons of broken ones, and the last record if the sample ends within it."""
    scanner = JsonScanner(iter([text]))
    records: list[str] = []
    broken: list[str] = []
    while len(records) + len(broken) < LOOKED_AT and (character := scanner.peek()):
        if character in "[],":
            scanner.accept(character)
            continue
        value = scanner.take()
        if value.reason is None:
            records.append(value.text)
        elif not scanner.peek() and not is_complete:
            return records, broken, value.text
        else:
            broken.append(value.reason)
    return records, broken, None


def _is_json(text: str) -> bool:
    import json

    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _array(records: list[str], broken: list[str], is_cut: str | None) -> Verdict:
    words = {"format": "json", "layout": "array"}
    if not records and not broken and is_cut:
        return Verdict("json", 0.7, "one array whose first element goes beyond the sample", words)
    if not records and not broken:
        return Verdict("json", 0.3, "an empty array", words)
    if not records:
        return Verdict("json", 0.1, f"an array without any object: its first element {broken[0]}", words)
    count = len(records) + len(broken)
    reason = f"one array; {len(records)} of its first {count} elements are objects{_first(broken)}"
    return _verdict(max(len(records), 2), len(broken), reason, words)


def _document(text: str, records: list[str], broken: list[str], is_cut: str | None) -> Verdict:
    document = records[0] if records else text
    if broken:
        return Verdict("json", 0.0, f"begins as JSON but its only object {broken[0]}", is_final=bool(_SURE.match(text)))
    found = _largest_array(document)
    if found is not None and found.is_envelope:
        reason = f"one document whose member {found.path} is an array of {found.count} objects"
        if is_cut is not None:
            reason += " and goes on beyond the sample"
        words = {"format": "json", "layout": "document", "records": found.path}
        return Verdict("json", 0.95 if found.is_named else 0.8, reason, words)
    if is_cut is not None:
        certainty = 0.9 if _SURE.match(text) else 0.5
        return Verdict("json", certainty, "one object that goes beyond the sample", {"format": "json"})
    told = f"; its member {found.path} is an array, but one of many members" if found else ""
    return Verdict(
        "json", 0.9, f"one valid object, which is one record{told}", {"format": "json", "layout": "document"}
    )


@dataclass(frozen=True)
class _FoundArray:
    path: str
    count: int
    share: float  # of the text of the document
    siblings: int

    @property
    def is_named(self) -> bool:
        return self.path.rsplit(".", 1)[-1].lower() in _ENVELOPES

    @property
    def is_envelope(self) -> bool:
        """Whether the array holds the records, rather than being part of a single one."""
        if self.is_named:
            return self.share > 0.3 or self.siblings <= 5
        return self.share > 0.8 and self.siblings <= 3 and self.count > 1


def _largest_array(document: str) -> _FoundArray | None:
    found: list[_FoundArray] = []
    _arrays_in(JsonScanner(iter([document])), (), len(document), found)
    return max(found, key=lambda one: (one.is_envelope, one.share), default=None)


def _arrays_in(scanner: JsonScanner, path: tuple[str, ...], size: int, found: list[_FoundArray]) -> None:
    if not scanner.accept("{"):
        scanner.take(is_kept=False)
        return
    here: list[tuple[str, int, int]] = []
    members = 0
    while (character := scanner.peek()) and character != "}":
        key = scanner.key()
        if key is None:
            return
        members += 1
        begins_with = scanner.peek()
        if begins_with == "[":
            count, length = _objects(scanner)
            if count and "." not in key:
                here.append((key, count, length))
        elif begins_with == "{" and len(path) < _MAX_PATH and "." not in key:
            _arrays_in(scanner, (*path, key), size, found)
        elif begins_with:
            scanner.take(is_kept=False)
        scanner.skip_commas()
    scanner.accept("}")
    found += [
        _FoundArray(".".join((*path, key)), count, length / max(size, 1), members - 1) for key, count, length in here
    ]


def _objects(scanner: JsonScanner) -> tuple[int, int]:
    """How many objects an array holds, and the length of its text; 0 if it holds anything else."""
    scanner.accept("[")
    count = length = 0
    is_other = False
    while (character := scanner.peek()) and character != "]":
        value = scanner.take()
        length += len(value.text) + 1
        if character != "{":
            is_other = True
        else:
            count += 1
        scanner.skip_commas()
    scanner.accept("]")
    return (0 if is_other else count), length


def _is_log(records: list[str]) -> bool:
    import json

    logs = 0
    for text in records[:50]:
        names = {name.lower() for name in json.loads(text)}
        logs += bool(names & _TIMES and names & _LEVELS and names & _MESSAGES)
    return logs * 5 >= len(records[:50]) * 4


def _first(broken: list[str]) -> str:
    return f" (the first other one {broken[0]})" if broken else ""
