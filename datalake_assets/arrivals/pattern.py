"""Key patterns: which S3 keys belong to a source, and to which of its partitions."""

import re
from dataclasses import dataclass, field

from datalake_assets.arrivals.partitions import AnyKey, PartitionKind, Unpartitioned
from datalake_assets.errors import ConfigurationError
from datalake_assets.names import UNPARTITIONED

MAX_KEY_BYTES = 1024  # the limit of S3

_TOKEN = re.compile(r"\*\*+/?|\*|\{[^{}]*\}|[{}]")
_CODE = re.compile(r"%.?", re.DOTALL)
_DATE_FIELDS = {"%Y": "year", "%m": "month", "%d": "day"}  # together they tell the partition
_TIME_FIELDS = {"%H", "%M", "%S"}  # two digits, whatever they say
# What uploads and Hadoop call a file that is not one yet. Files with such names become arrivals when they are renamed.
_TEMPORARY_SUFFIXES = (".tmp", ".part", ".partial", ".filepart", ".inprogress", "._COPYING_")


def is_ignored(key: str) -> bool:
    """Whether a key is a marker, a folder or a temporary name: no data, and no mistake either.

    That is a last segment which is empty, starts with `_` or `.`, or ends like `.tmp`; and whatever is below Hadoop's
    `_temporary/`.
    """
    name = key[key.rfind("/") + 1 :]
    return name[:1] in ("_", ".") or _is_unfinished(key, name)


def _is_unfinished(key: str, name: str) -> bool:
    """Whether it is a folder or an upload that is not complete: never data, nor a marker."""
    return name == "" or name.endswith(_TEMPORARY_SUFFIXES) or key.startswith("_temporary/") or "/_temporary/" in key


@dataclass(frozen=True)
class KeyPattern:
    """A parsed pattern such as `flights/dt={partition}/*.csv.gz`.

    `*` stands for anything within one path segment, `**` for anything over segments, `**/` also for no folder at all.
    `{partition}` stands for the partition key, or `{%Y}`, `{%m}` and `{%d}` for the parts of its date, in any order and
    place, also several in one brace (`{%Y%m%d}`, `{%Y-%m-%d}`). `{%H}`, `{%M}` and `{%S}` stand for two digits each. A
    pattern without a date is that of a table without partitions. All other characters stand for themselves.

    The pattern of a marker (`is_marker`) may also name what is ignored elsewhere: `flights/dt={partition}/_SUCCESS`.
    """

    text: str
    partitions: PartitionKind
    is_marker: bool
    _parts: tuple[tuple[str, str], ...] = field(repr=False, compare=False)  # (kind, text): literal, field, wildcard
    _regex: re.Pattern[str] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, partitions: PartitionKind | None = None, *, is_marker: bool = False) -> "KeyPattern":
        """Parse a pattern; `partitions` says which texts are partition keys.

        Raises:
            ConfigurationError: the pattern cannot match any key, names an unknown field, or does not fit `partitions`.
        """
        parts = _split(text)
        fields = [value for kind, value in parts if kind == "field"]
        _check(text, fields, partitions, is_marker)
        if partitions is None:
            partitions = AnyKey() if fields else Unpartitioned()
        return cls(text, partitions, is_marker, tuple(parts), re.compile(_regex_of(parts), re.DOTALL))

    @property
    def is_partitioned(self) -> bool:
        return any(kind == "field" for kind, _ in self._parts)

    def match(self, key: str) -> str | None:
        """Return the partition that `key` belongs to, `UNPARTITIONED` for a table without, None if to none.

        Temporary names belong to none, and markers to none but the pattern of a marker; `is_ignored` tells them from
        unexpected keys.
        """
        if (partition := self._partition(key)) is None:
            return None
        if _is_unfinished(key, key[key.rfind("/") + 1 :]) if self.is_marker else is_ignored(key):
            return None
        return partition if self.partitions.refusal(partition) is None else None

    def refusal(self, key: str) -> str | None:
        """Say why a key below this pattern's prefix does not match, or None if it does."""
        if (partition := self._partition(key)) is None:
            return f"it does not look like {self.text}"
        return self.partitions.refusal(partition)

    def prefix(self, partition: str | None = None) -> str:
        """Return the longest literal start of all keys of a partition, or of all partitions: what to list."""
        found = ""
        for kind, value in self._parts:
            if kind == "literal":
                found += value
            elif kind == "field" and partition is not None:
                found += _filled(value, partition)
            else:
                break
        return found

    def parts_of(self, partition: str) -> list[tuple[str, str]]:
        """The parts of the pattern for one partition: each `literal`, `wildcard` or `digits` (two), and its text."""
        return [
            ("literal", _filled(value, partition)) if kind == "field" else (kind, value) for kind, value in self._parts
        ]

    def _partition(self, key: str) -> str | None:
        found = self._regex.fullmatch(key)
        if found is None:
            return None
        groups = found.groupdict()
        if "partition" in groups:
            return groups["partition"]
        return "{year}-{month}-{day}".format(**groups) if groups else UNPARTITIONED


def _split(text: str) -> list[tuple[str, str]]:
    parts: list[tuple[str, str]] = []
    end = 0
    for token in _TOKEN.finditer(text):
        if token.start() > end:
            parts.append(("literal", text[end : token.start()]))
        end, value = token.end(), token.group()
        if value in "{}":
            raise ConfigurationError(f"the key pattern {text!r} has a single {value}", expected="{partition}")
        if value[0] == "{":
            parts.extend(_braced(value[1:-1]))
        else:
            parts.append(("wildcard", re.sub(r"\*\*+", "**", value)))
    if end < len(text):
        parts.append(("literal", text[end:]))
    return parts


def _braced(inside: str) -> list[tuple[str, str]]:
    """The parts of one brace: `partition`, or codes with whatever is between them."""
    if "%" not in inside:
        return [("field", inside)]
    parts: list[tuple[str, str]] = []
    end = 0
    for code in _CODE.finditer(inside):
        if code.start() > end:
            parts.append(("literal", inside[end : code.start()]))
        parts.append(("digits" if code.group() in _TIME_FIELDS else "field", code.group()))
        end = code.end()
    return parts + ([("literal", inside[end:])] if end < len(inside) else [])


def _check(text: str, fields: list[str], partitions: PartitionKind | None, is_marker: bool) -> None:
    """Refuse a pattern that can never match or that does not tell the partition."""

    def wrong(found: str, expected: str) -> ConfigurationError:
        return ConfigurationError(f"the key pattern {text!r} {found}", expected=expected)

    allowed = "{partition} once, or each of {%Y}, {%m} and {%d}"
    if unknown := [name for name in fields if name != "partition" and name not in _DATE_FIELDS]:
        raise wrong(f"has the unknown field {{{unknown[0]}}}", f"{allowed}; {{%H}}, {{%M}} and {{%S}} for a time")
    if fields and fields != ["partition"] and set(fields) != set(_DATE_FIELDS):
        raise wrong(f"has the fields {fields}", allowed)
    if not text or text.startswith(("/", "s3:")):
        raise wrong("does not start like a key", "a key within the bucket, such as flights/dt={partition}/*.csv.gz")
    if len(text.encode()) > MAX_KEY_BYTES:
        raise wrong("is longer than a key can be", f"at most {MAX_KEY_BYTES} bytes")
    if is_marker and _is_unfinished(text, text[text.rfind("/") + 1 :]):
        raise wrong("matches only folders or temporary names", "a name such as _SUCCESS")
    if not is_marker and is_ignored(text):
        raise wrong("matches only names that are ignored", "a last segment that does not start with _ or .")
    if partitions is not None and isinstance(partitions, Unpartitioned) == bool(fields):
        raise wrong(
            "does not fit the pipeline's partitions",
            allowed if not fields else "no field, because the table has no partitions",
        )


def _regex_of(parts: list[tuple[str, str]]) -> str:
    regex, seen = "", set()
    for kind, value in parts:
        if kind == "literal":
            regex += re.escape(value)
        elif kind == "wildcard":
            regex += {"*": "[^/]*", "**": ".*", "**/": "(?:.*/)?"}[value]
        elif kind == "digits":
            regex += "[0-9]{2}"
        elif value == "partition":
            regex += "(?P<partition>[^/]+?)"
        elif value in seen:
            regex += f"(?P={_DATE_FIELDS[value]})"
        else:
            seen.add(value)
            regex += f"(?P<{_DATE_FIELDS[value]}>[0-9]{{{4 if value == '%Y' else 2}}})"
    return regex


def _filled(name: str, partition: str) -> str:
    if name == "partition":
        return partition
    return dict(zip(_DATE_FIELDS, partition.split("-"), strict=True))[name]
