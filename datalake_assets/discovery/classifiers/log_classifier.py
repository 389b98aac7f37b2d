"""Logs of public formats: the share of lines that their pattern matches."""

import re

from datalake_assets.discovery.classifiers.builtin import Verdict
from datalake_assets.discovery.classifiers.content import Content
from datalake_assets.formats.grok import MAX_LINE_CHARACTERS
from datalake_assets.formats.known_logs import KNOWN_LOGS, KnownLog

LOOKED_AT = 200  # lines
_HINTED = 5  # of the first lines, one must have what every line of the log has
_MIN_SHARE = 0.5
# What these logs write for a value that there is not.
NULL_VALUES = ("", "-")


def known_log(content: Content) -> Verdict:
    text = content.whole_lines
    lines = [line.rstrip("\r") for line in text.split("\n", LOOKED_AT * 2)[: LOOKED_AT * 2] if line.strip()][:LOOKED_AT]
    if lines and lines[0].startswith("#") and (line := next((one for one in lines if one.startswith("#Fields:")), "")):
        return _with_fields(lines, line)
    best = Verdict("log", 0.0, "no known log matches its lines")
    for known in KNOWN_LOGS.values():
        if known.delimiter or not any(re.search(known.hint, line) for line in lines[:_HINTED]):
            continue
        verdict = _matched(known, lines)
        if verdict.certainty > best.certainty:
            best = verdict
    return best


def _matched(known: KnownLog, lines: list[str]) -> Verdict:
    from datalake_assets.formats.log_records import log_format, looks_continued
    from datalake_assets.formats.source_format import SourceFormat

    how = log_format(SourceFormat(format="log", pattern=known.name), "")
    matched = continued = loose = 0
    for line in lines:
        if len(line) <= MAX_LINE_CHARACTERS and how.values(line) is not None:
            matched += 1
        elif matched and how.belongs_to_the_record_before(line):
            # Any line can follow a record of some logs: one that does not look so counts half against them.
            continued += 1
            loose += not looks_continued(line)
    missed = len(lines) - matched - continued
    share = matched / max(matched + missed + loose / 2, 1)
    reason = f"{matched} of {len(lines)} lines match"
    if continued:
        reason += f", {continued} belong to the line before"
    if share < _MIN_SHARE:
        return Verdict(known.name, round(share / 4, 3), f"only {reason}")
    certainty = round(known.strength * share * (1 if matched > 1 else 0.9), 3)
    return Verdict(known.name, certainty, f"{known.title}: {reason}", _words(known))


def _with_fields(lines: list[str], header: str) -> Verdict:
    names = header.split()[1:]
    rows = [line for line in lines if not line.startswith("#")]
    known = KNOWN_LOGS["cloudfront" if any("\t" in row for row in rows) else "w3c_extended"]
    if not rows:
        return Verdict(known.name, 0.6, "a `#Fields:` line, but no rows", _words(known))
    good = sum(row.count(known.delimiter) == len(names) - 1 for row in rows)
    reason = f"{known.title}: {good} of {len(rows)} lines have the {len(names)} fields of its `#Fields:` line"
    return Verdict(known.name, round(good / len(rows), 3), reason, _words(known))


def _words(known: KnownLog) -> dict[str, object]:
    return {"format": "log", "pattern": known.name, "null_values": NULL_VALUES}
