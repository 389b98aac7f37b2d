"""SQL text as single statements: the warehouse's protocol takes one at a time."""

import re
from collections.abc import Iterator
from datetime import datetime

from datalake_assets.errors import ConfigurationError

PARTITION = "$partition"

# What may hide a semicolon, the end of a statement, and the value. An unclosed quote or comment reaches to the end, and
# the warehouse says what is wrong with it.
_TOKEN = re.compile(
    r"""
      (?P<quoted>   [eE]'(?:[^'\\]|\\.|'')*(?:'|\Z) | '(?:[^']|'')*(?:'|\Z) | "(?:[^"]|"")*(?:"|\Z))
    | (?P<dollars>  (?<![\w$])(?:\$\$.*?(?:\$\$|\Z) | \$(?P<tag>[A-Za-z_]\w*)\$.*?(?:\$(?P=tag)\$|\Z)))
    | (?P<comment>  --[^\n]*)
    | (?P<open>     /\*)
    | (?P<value>    \$partition\b)
    | (?P<end>      ;)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def split_statements(text: str, *, partition: str | None = None) -> Iterator[str]:
    """The statements of a text, without those that are only comments.

    Args:
        partition: SQL that stands for `$partition` outside of quotes and comments.

    Raises:
        ConfigurationError: the text has `$partition`, and there is none.
    """
    parts: list[str] = []
    says_something = False
    at = 0
    while found := _TOKEN.search(text, at):
        between = text[at : found.start()]
        parts.append(between)
        says_something = says_something or bool(between.strip())
        at = found.end()
        kind = found.lastgroup
        if kind == "end":
            if says_something:
                yield "".join(parts).strip()
            parts, says_something = [], False
        elif kind == "value":
            if partition is None:
                raise ConfigurationError(
                    f"the SQL names {PARTITION}, and the pipeline has no partitions",
                    todo="Give it `partitions`, or write the value",
                )
            parts.append(partition)
            says_something = True
        elif kind == "open":
            at = _end_of_comment(text, at)
            parts.append(text[found.start() : at])
        else:
            parts.append(found[0])
            says_something = says_something or kind != "comment"
    parts.append(text[at:])
    if says_something or text[at:].strip():
        yield "".join(parts).strip()


def partition_literal(partition: str, begin: datetime, end: datetime) -> str:
    """The SQL that stands for `$partition`: a DATE, for an hour its first moment as TIMESTAMP in UTC."""
    if (end - begin).total_seconds() > 3600:
        return f"DATE '{datetime.strptime(partition, '%Y-%m-%d').date().isoformat()}'"
    return f"TIMESTAMP '{begin:%Y-%m-%d %H:%M:%S}'"


def _end_of_comment(text: str, at: int) -> int:
    depth = 1  # comments nest
    while depth and (edge := _COMMENT_EDGE.search(text, at)):
        depth += 1 if edge[0] == "/*" else -1
        at = edge.end()
    return at if not depth else len(text)
