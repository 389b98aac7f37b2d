"""Take SQL apart into tokens and put it together again by edits of spans.

Redshift's lexical rules are those of PostgreSQL 8.0: backslashes escape inside ordinary literals, block comments nest,
`$tag$` quotes, and a table may be called `#name`. Whatever no edit touches comes out byte for byte as it went in.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from datalake_assets.sandbox.redshift.refusals import Refused


class Kind(Enum):
    SPACE = "space"
    COMMENT = "comment"
    STRING = "string"
    DOLLAR = "dollar quote"
    QUOTED = "quoted identifier"
    WORD = "word"
    HASH_NAME = "temporary table name"
    NUMBER = "number"
    PARAMETER = "parameter"
    PUNCTUATION = "punctuation"


def words(text: str) -> frozenset[str]:
    """The words of `text` as a set: how rules write down what they look for."""
    return frozenset(text.split())


_SKIPPED = (Kind.SPACE, Kind.COMMENT)
_WORD = r"[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_$\u0080-\U0010ffff]*"
_PLAIN_STRING = r"'(?:[^']|'')*'"
_ESCAPED_STRING = r"'(?:[^'\\]|''|\\.)*'"


def _scanner(plain_string: str) -> re.Pattern[str]:
    return re.compile(
        rf"""(?P<SPACE>\s+)
        |(?P<COMMENT>--[^\n\r]*)
        |(?P<STRING>[eE]{_ESCAPED_STRING}|(?:[uU]&|[xXbBnN])?{plain_string})
        |(?P<QUOTED>(?:[uU]&)?"(?:[^"]|"")*")
        |(?P<DOLLAR_TAG>\$(?:{_WORD.replace("$", "", 1)})?\$)
        |(?P<PARAMETER>\$[0-9]+)
        |(?P<NUMBER>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
        |(?P<WORD>{_WORD})
        |(?P<HASH_NAME>\#{_WORD})
        |(?P<BLOCK>/\*)
        |(?P<PUNCTUATION>::|:=|=>|<=|>=|<>|!=|\|\||.)""",
        re.VERBOSE | re.DOTALL,
    )


_SCANNERS = {True: _scanner(_ESCAPED_STRING), False: _scanner(_PLAIN_STRING)}
_BLOCK_EDGE = re.compile(r"/\*|\*/")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL: `text` is `source[start:end]`, `word` its lower-case form when it is an unquoted word."""

    kind: Kind
    start: int
    end: int
    text: str
    word: str

    @property
    def name(self) -> str:
        """What the token names as an identifier: quotes taken off, unquoted words in lower case."""
        if self.kind is Kind.QUOTED:
            return self.text[1:-1].replace('""', '"')
        return self.word or self.text


def tokenize(source: str, *, backslash_escapes: bool = True) -> list[Token]:
    """Return the tokens of `source` in order; their texts joined are `source` again.

    Raises:
        Refused: a literal, quoted identifier or comment has no end (SQLSTATE 42601).
    """
    scanner = _SCANNERS[backslash_escapes]
    tokens: list[Token] = []
    position = 0
    while position < len(source):
        match = scanner.match(source, position)
        assert match is not None  # the last alternative matches any character
        group = match.lastgroup
        end = match.end()
        if group == "DOLLAR_TAG":
            close = source.find(match.group(), end)
            if close < 0:
                raise Refused("42601", "unterminated dollar-quoted string")
            end = close + len(match.group())
            kind = Kind.DOLLAR
        elif group == "BLOCK":
            end = _end_of_block_comment(source, end)
            kind = Kind.COMMENT
        elif group == "PUNCTUATION" and match.group() in "'\"":
            raise Refused("42601", f"unterminated quoted {'string' if match.group() == chr(39) else 'identifier'}")
        else:
            kind = Kind[group or "PUNCTUATION"]
        text = source[position:end]
        tokens.append(Token(kind, position, end, text, text.lower() if kind is Kind.WORD else ""))
        position = end
    return tokens


def _end_of_block_comment(source: str, position: int) -> int:
    depth = 1
    while depth:
        edge = _BLOCK_EDGE.search(source, position)
        if edge is None:
            raise Refused("42601", "unterminated /* comment")
        depth += 1 if edge.group() == "/*" else -1
        position = edge.end()
    return position


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `source[start:end]` by `text`; an empty span inserts."""

    start: int
    end: int
    text: str


def apply_edits(source: str, edits: Iterable[Edit]) -> str:
    """Return `source` with all edits made at once; at the same place they keep the order they were given in."""
    pieces: list[str] = []
    position = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start < position:
            raise ValueError(f"two rewriting rules want the same text {source[edit.start : edit.end]!r}")
        pieces += (source[position : edit.start], edit.text)
        position = edit.end
    pieces.append(source[position:])
    return "".join(pieces)


class Statement:
    """One SQL statement with its significant tokens, numbered without spaces and comments."""

    def __init__(self, source: str, tokens: list[Token]) -> None:
        self.source = source
        self.all_tokens = tokens
        self.tokens = [token for token in tokens if token.kind not in _SKIPPED]

    @cached_property
    def words(self) -> frozenset[str]:
        """All unquoted words, so that a rule can tell at once that it has nothing to do."""
        return frozenset(token.word for token in self.tokens if token.word)

    def __len__(self) -> int:
        return len(self.tokens)

    def word(self, index: int) -> str:
        """The lower-case word at `index`, or "" if there is another kind of token or none."""
        return self.tokens[index].word if 0 <= index < len(self.tokens) else ""

    def text(self, index: int) -> str:
        """The text at `index`, or "" beyond the ends."""
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""

    def starts(self, *words: str, at: int = 0) -> bool:
        """Whether the words stand at `at`, one after the other."""
        return all(self.word(at + offset) == word for offset, word in enumerate(words))

    def is_identifier(self, index: int) -> bool:
        return 0 <= index < len(self.tokens) and self.tokens[index].kind in (Kind.WORD, Kind.QUOTED, Kind.HASH_NAME)

    def is_call(self, index: int) -> bool:
        """Whether a function call (or another bracket after a word, not after a dot) starts at `index`."""
        if self.text(index + 1) != "(":
            return False
        return self.text(index - 1) != "." or self.word(index - 2) == "pg_catalog"

    def closing(self, opening: int) -> int:
        """The index of the bracket that closes the one at `opening`; a statement without it is not ours to judge."""
        depth = 0
        for index in range(opening, len(self.tokens)):
            text = self.tokens[index].text
            depth += (text in ("(", "[")) - (text in (")", "]"))
            if depth == 0:
                return index
        raise Refused("42601", "syntax error: a bracket is not closed")

    def arguments(self, opening: int) -> list[tuple[int, int]]:
        """The arguments between the brackets at `opening` as half-open ranges of token indexes."""
        close = self.closing(opening)
        if close == opening + 1:
            return []
        ranges: list[tuple[int, int]] = []
        depth, first = 0, opening + 1
        for index in range(opening + 1, close):
            text = self.tokens[index].text
            depth += (text in ("(", "[")) - (text in (")", "]"))
            if text == "," and depth == 0:
                ranges.append((first, index))
                first = index + 1
        ranges.append((first, close))
        return ranges

    def qualified_name(self, index: int) -> tuple[list[str], int]:
        """The parts of a dotted name at `index`, and the index after it; no parts if no name stands there."""
        parts: list[str] = []
        while self.is_identifier(index):
            parts.append(self.tokens[index].name)
            index += 1
            if self.text(index) != "." or not self.is_identifier(index + 1):
                break
            index += 1
        return parts, index

    def span(self, first: int, end: int) -> str:
        """The source of the tokens `first` to before `end`, comments between them included."""
        return self.source[self.tokens[first].start : self.tokens[end - 1].end] if first < end else ""

    def replace(self, first: int, end: int, text: str) -> Edit:
        """An edit that puts `text` in place of the tokens `first` to before `end`."""
        return Edit(self.tokens[first].start, self.tokens[end - 1].end, text)

    def before(self, index: int, text: str) -> Edit:
        return Edit(self.tokens[index].start, self.tokens[index].start, text)

    def after(self, index: int, text: str) -> Edit:
        return Edit(self.tokens[index].end, self.tokens[index].end, text)


def split_statements(source: str, *, backslash_escapes: bool = True) -> Iterator[Statement]:
    """Yield the statements between semicolons; a piece of spaces and comments only is left out unless it is all."""
    pieces: list[list[Token]] = [[]]
    for token in tokenize(source, backslash_escapes=backslash_escapes):
        if token.text == ";" and token.kind is Kind.PUNCTUATION:
            pieces.append([])
        else:
            pieces[-1].append(token)
    for piece in pieces:
        if len(pieces) > 1 and all(token.kind in _SKIPPED for token in piece):
            continue
        yield _rebased(piece)


def parse_one(source: str, *, backslash_escapes: bool = True) -> Statement:
    """Return `source` as one statement, whatever semicolons it holds."""
    return Statement(source, tokenize(source, backslash_escapes=backslash_escapes))


def _rebased(piece: list[Token]) -> Statement:
    if not piece:
        return Statement("", [])
    offset = piece[0].start
    source = "".join(token.text for token in piece)
    if offset == 0:
        return Statement(source, piece)
    moved = [Token(token.kind, token.start - offset, token.end - offset, token.text, token.word) for token in piece]
    return Statement(source, moved)
