"""Own classifiers: declared in a YAML file, or written on the command line.

A classifier says how a file may be written, and its certainty is the share of the sampled records that are so.
docs/classifiers.md shows what can be declared.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datalake_assets.discovery.classifiers.builtin import Verdict, avro, orc, parquet
from datalake_assets.discovery.classifiers.content import Content, error_told
from datalake_assets.errors import BadInput, ConfigurationError, InvalidName

if TYPE_CHECKING:
    from datalake_assets.formats.source_format import SourceFormat

LOOKED_AT = 1_000  # records
_KINDS = ("grok", "log", "regex", "json", "xml", "csv", "source")
_WORDS = (*_KINDS, "name", "patterns", "encoding", "compression", "null_values")
_CSV_WORDS = ("delimiter", "quote", "escape", "header", "names", "skip_rows", "skip_footer", "short_rows", "long_rows")
_CSV_SPLIT = re.compile(rf",(?=(?:{'|'.join((*_CSV_WORDS, 'encoding'))})=)")
_SPELLED = {"tab": "\t", r"\t": "\t", "space": " ", "comma": ",", "semicolon": ";", "pipe": "|", "none": ""}


@dataclass(frozen=True)
class CustomClassifier:
    """One way a file may be written; `name` is what reports call it."""

    name: str
    source: "SourceFormat"

    def judge(self, content: Content) -> Verdict:
        """How much of the content is so: the share of the first records that can be read as declared."""
        if self.source.format in ("parquet", "orc", "avro"):
            found = {"parquet": parquet, "orc": orc, "avro": avro}[self.source.format](content)
            return Verdict(self.name, found.certainty, found.reason, source=self.source)
        if not content.encoding.is_text and "encoding" not in self.source.model_fields_set:
            return Verdict(self.name, 0.0, f"the object {content.why_no_text()}")
        good = broken = 0
        first = ""
        try:
            for reason in islice(self._reasons(content), LOOKED_AT):
                if reason is None:
                    good += 1
                else:
                    broken += 1
                    first = first or reason
        except BadInput as error:
            # An XML file of which only the beginning is here ends in the middle.
            if not good or content.is_complete:
                return Verdict(self.name, 0.0, error_told(error))
        if not good:
            return Verdict(self.name, 0.0, f"no record matches (the first one {first})" if first else "has no records")
        share = good / (good + broken)
        told = f"all {good} records match" if not broken else f"{good} of {good + broken} records match"
        if first:
            told += f" (the first other one {first})"
        # Rounded down: 1.0 is for those that match without exception.
        return Verdict(self.name, share if share == 1.0 else min(round(share, 3), 0.999), told, source=self.source)

    def _reasons(self, content: Content) -> Iterable[str | None]:
        """Of each record why it is broken, or None."""
        if self.source.format == "xml":
            from datalake_assets.formats.xml_records import XmlFile

            rows = XmlFile(iter([content.data]), self.source.row_tag or "", content.sample.uri).records()
            return (row.reason for row in rows)
        if self.source.format == "json":
            return self._json_reasons(content)
        text = self._text(content, is_by_line=True)
        if self.source.format == "log":
            from datalake_assets.formats.grok import MAX_LINE_CHARACTERS
            from datalake_assets.formats.lines import numbered_lines
            from datalake_assets.formats.log_records import log_format, log_records

            how = log_format(self.source, text, where=content.sample.uri)
            return (row.reason for row in log_records(numbered_lines([text], limit=MAX_LINE_CHARACTERS), how))
        return self._csv_reasons(content, text)

    def _json_reasons(self, content: Content) -> Iterable[str | None]:
        from datalake_assets.formats.json_records import JsonFile

        text = self._text(content, is_by_line=False).lstrip()
        if not text:
            return []
        file = JsonFile(iter([text]), text, self.source, content.sample.uri, first_line=1)
        rows = list(islice(file.records(), LOOKED_AT))
        if not content.is_complete and len(rows) < LOOKED_AT:
            # The last record of a sample ends in the middle, and then its array is missing an end.
            while len(rows) > 1 and rows[-1].reason is not None:
                rows.pop()
        return [row.reason for row in rows]

    def _csv_reasons(self, content: Content, text: str) -> Iterable[str | None]:
        from datalake_assets.formats.delimited.csv_records import table_of

        source = self.source if content.is_complete else self.source.model_copy(update={"skip_footer": 0})
        table = table_of([text], source, uri=content.sample.uri)
        if table is None:
            return
        if len(table.names) == 1 and source.delimiter not in text:
            yield f"has no delimiter {source.delimiter!r}"
            return
        widths = (len(table.names), len(table.names) + table.ends_with_delimiter)
        is_any = source.short_rows == "pad" and source.long_rows == "rescue"
        for block in table.blocks:
            for index, row in enumerate(block.rows):
                if index in block.problems:
                    yield block.problems[index]
                elif len(row) in widths or (is_any and len(row) > 1):
                    yield None
                else:
                    yield f"has {len(row)} fields instead of {len(table.names)}"

    def _text(self, content: Content, *, is_by_line: bool) -> str:
        if "encoding" not in self.source.model_fields_set:
            return content.whole_lines if is_by_line else content.text
        text = content.data.decode(self.source.encoding, errors="replace").removeprefix("\ufeff")
        return text if content.is_complete or not is_by_line else text[: text.rfind("\n") + 1]


def read_classifiers(path: Path) -> tuple[CustomClassifier, ...]:
    """The classifiers of a YAML file, in their order.

    Raises:
        ConfigurationError: the file is missing or says something else; the message has its line.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"is no YAML: {error}", where=str(path)) from error
    listed = data.get("classifiers") if isinstance(data, dict) and len(data) == 1 else None
    if not isinstance(listed, list) or not isinstance(tree, yaml.MappingNode):
        raise ConfigurationError("holds something else", where=str(path), expected="one list, `classifiers:`")
    items = tree.value[0][1].value
    found: dict[str, CustomClassifier] = {}
    for item, node in zip(listed, items, strict=True):
        where = f"{path}:{node.start_mark.line + 1}"
        one = _declared(item, where)
        if one.name in found:
            raise ConfigurationError(f"two classifiers are called {one.name!r}", where=where)
        found[one.name] = one
    return tuple(found.values())


def classifier_from_text(text: str) -> CustomClassifier:
    """A classifier written on the command line.

    It is a grok pattern, the name of a known log, `regex:…` with named groups, `json:$.path`, `xml:row_tag`,
    `csv:delimiter=;,quote='`, or an entry of a YAML file in braces.

    Raises:
        ConfigurationError: it is none of these, or its pattern is wrong.
    """
    from datalake_assets.formats.known_logs import KNOWN_LOGS

    where = "--classifier"
    kind, colon, rest = text.partition(":")
    if text.lstrip().startswith("{") and text.rstrip().endswith("}"):
        import yaml

        try:
            return _declared(yaml.safe_load(text), where, default_name="own")
        except yaml.YAMLError as error:
            raise ConfigurationError(f"{text!r} is no YAML: {error}", where=where) from error
    if text in KNOWN_LOGS:
        return _declared({"name": text, "log": text}, where)
    if colon and kind in ("grok", "log", "regex", "json", "xml"):
        return _declared({"name": f"own {kind}", kind: rest}, where)
    if kind == "csv":
        return _declared({"name": "own csv", "csv": _csv_words(rest, where)}, where)
    if "%{" in text:
        return _declared({"name": "own grok", "grok": text}, where)
    near = difflib.get_close_matches(text, list(KNOWN_LOGS), n=3)
    raise ConfigurationError(
        f"{text!r} is no classifier",
        where=where,
        expected="a grok pattern, regex:…, json:$.path, xml:row_tag, csv:delimiter=;, or the name of a known log: "
        + ", ".join(near or KNOWN_LOGS),
    )


def _csv_words(text: str, where: str) -> dict[str, Any]:
    words: dict[str, Any] = {}
    for part in _CSV_SPLIT.split(text) if text else ():
        name, equals, value = part.partition("=")
        if not equals or name not in (*_CSV_WORDS, "encoding"):
            raise ConfigurationError(
                f"csv takes no {part!r}", where=where, expected=f"name=value with one of {', '.join(_CSV_WORDS)}"
            )
        words[name] = value.split("|") if name == "names" else _SPELLED.get(value, value)
    return words


def _declared(item: object, where: str, *, default_name: str = "") -> CustomClassifier:
    if not isinstance(item, dict):
        raise ConfigurationError(f"{item!r} is no classifier", where=where, expected="a name and what it matches")
    if unknown := [word for word in item if word not in _WORDS]:
        near = difflib.get_close_matches(str(unknown[0]), _WORDS, n=1)
        raise ConfigurationError(
            f"a classifier has no word {unknown[0]!r}", where=where, expected=near[0] if near else ", ".join(_WORDS)
        )
    kinds = [kind for kind in _KINDS if kind in item]
    name = item.get("name", default_name)
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError("a classifier has no name", where=where, expected="`name:` with a text")
    if len(kinds) != 1:
        told = f"says {' and '.join(kinds)}" if kinds else "does not say what it matches"
        raise ConfigurationError(f"classifier {name!r} {told}", where=where, expected=f"one of {', '.join(_KINDS)}")
    shared = {word: item[word] for word in ("encoding", "compression", "null_values") if word in item}
    if "patterns" in item and kinds[0] != "grok":
        raise ConfigurationError(f"classifier {name!r} has patterns, which are for grok", where=where)
    try:
        source = _source_of(kinds[0], item, shared, where)
    except (ConfigurationError, InvalidName) as error:
        raise ConfigurationError(
            f"classifier {name!r}: {error.found}", where=where, expected=error.expected, todo=error.todo
        ) from error
    return CustomClassifier(name, source)


def _source_of(kind: str, item: dict[str, Any], shared: dict[str, Any], where: str) -> "SourceFormat":
    from datalake_assets.formats.known_logs import KNOWN_LOGS

    value = item[kind]
    if kind in ("csv", "source"):
        if not isinstance(value, dict):
            raise ConfigurationError(f"{kind} is {value!r}", where=where, expected="words and values")
        return _validated(({"format": "csv"} if kind == "csv" else {}) | value | shared)
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{kind} is {value!r}", where=where, expected="a text")
    if kind == "json":
        path = _json_path(value)
        return _validated({"format": "json"} | ({"layout": "document", "records": path} if path else {}) | shared)
    if kind == "xml":
        return _validated({"format": "xml", "row_tag": value} | shared)
    if kind == "log":
        if value not in KNOWN_LOGS:
            near = difflib.get_close_matches(value, list(KNOWN_LOGS), n=3) or list(KNOWN_LOGS)
            raise ConfigurationError(f"log {value!r} is not known", expected=f"one of {', '.join(near)}")
        shared = {"null_values": ("", "-")} | shared
    source = _validated({"format": "log", "pattern": value, "patterns": item.get("patterns") or {}} | shared)
    if kind != "log":
        from datalake_assets.formats.grok import compile_grok

        compile_grok(source.pattern or "", source.patterns)
    return source


def _json_path(text: str) -> str:
    """`$.data.items[*]` as `data.items`; empty for the document itself."""
    path = re.sub(r"\[\*\]", "", text.strip()).removeprefix("$").removeprefix(".")
    if re.search(r"[\[\]?()@*]|\.\.|^\.|\.$", path):
        raise ConfigurationError(
            f"JSON path {text!r} is more than the names of members",
            expected="a path such as $.data.items, $[*] or $.data[*].rows",
        )
    return path


def _validated(words: dict[str, Any]) -> "SourceFormat":
    from pydantic import ValidationError

    from datalake_assets.formats.source_format import SourceFormat

    try:
        return SourceFormat.model_validate(words)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        told = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{place}: {told}" if place else told) from error
