"""Keys that two patterns both match: such a key belongs to neither source, so it is better known before it arrives."""

import datetime as dt
from collections import deque
from collections.abc import Iterator

from datalake_assets.arrivals.partitions import Daily
from datalake_assets.arrivals.pattern import KeyPattern

# What one step of a pattern takes: a character itself, or one of a kind.
_DIGIT, _WITHIN, _ANY = "digit", "within", "any"
_ATOM = tuple[str, bool]  # what it takes, and whether that is a kind


def common_key(one: KeyPattern, other: KeyPattern) -> str | None:
    """A key that both patterns match, None if there is none.

    Both are taken for the same day; that a key tells one day to the one and another day to the other is not looked for.
    """
    days = [pattern.partitions for pattern in (one, other) if isinstance(pattern.partitions, Daily)]
    day = max((kind.start for kind in days), default=dt.date(2026, 1, 1))
    if any(kind.end is not None and day >= kind.end for kind in days):
        return None
    key = _shortest(_Steps(one, day), _Steps(other, day))
    return key if key is not None and one.match(key) is not None and other.match(key) is not None else None


class _Steps:
    """A pattern of one day as an automaton over characters; states are counted from 0."""

    def __init__(self, pattern: KeyPattern, day: dt.date) -> None:
        self._atoms: list[tuple[str, str]] = []  # (kind, what)
        for kind, text in pattern.parts_of(day.isoformat()):
            if kind == "wildcard":
                self._atoms.append(("star", text))
            elif kind == "digits":
                self._atoms += [("one", _DIGIT)] * 2
            else:
                self._atoms += [("literal", character) for character in text]
        self.last = len(self._atoms)

    def closure(self, state: int) -> Iterator[int]:
        """The states that are reached without a character."""
        yield state
        while state < self.last and self._atoms[state][0] == "star":
            state += 1
            yield state

    def moves(self, state: int) -> Iterator[tuple[_ATOM, int]]:
        """What is taken from a state, and where it leads."""
        if state == self.last:
            return
        kind, what = self._atoms[state]
        if kind == "literal":
            yield (what, False), state + 1
        elif kind == "one":
            yield (what, True), state + 1
        elif what == "*":
            yield (_WITHIN, True), state
        elif what == "**":
            yield (_ANY, True), state
        else:  # `**/`: any characters, of which the last is a slash
            yield ("/", False), state + 1
            yield (_ANY, True), _inside(state)

    def after(self, state: int) -> Iterator[tuple[_ATOM, int]]:
        """The moves of all states that are reached without a character."""
        if state < 0:  # within `**/`, which must end with a slash
            yield ("/", False), _outside(state) + 1
            yield (_ANY, True), state
            return
        for each in self.closure(state):
            yield from self.moves(each)

    def is_end(self, state: int) -> bool:
        return state >= 0 and self.last in self.closure(state)


def _inside(state: int) -> int:
    return -state - 1


def _outside(state: int) -> int:
    return -state - 1


def _shortest(one: _Steps, other: _Steps) -> str | None:
    """The shortest key that both take, whose last segment is a name that data may have."""
    # The third part of a state: whether the last segment is empty (0), a good name (1), or one that is ignored (2).
    start = (0, 0, 0)
    texts = deque([(start, "")])
    seen = {start}
    while texts:
        (mine, its, name), text = texts.popleft()
        if name == 1 and one.is_end(mine) and other.is_end(its):
            return text
        for taken, my_next in one.after(mine):
            for also, its_next in other.after(its):
                for character in _both(taken, also):
                    if character == "/":
                        segment = 0
                    elif name == 0:
                        segment = 2 if character in "_." else 1
                    else:
                        segment = name
                    state = (my_next, its_next, segment)
                    if state not in seen:
                        seen.add(state)
                        texts.append((state, text + character))
    return None


def _both(one: _ATOM, other: _ATOM) -> str:
    """Characters that stand for all that two steps both take."""
    if not one[1] and not other[1]:
        return one[0] if one[0] == other[0] else ""
    if one[1] and other[1]:
        kinds = {one[0], other[0]}
        if _DIGIT in kinds:
            return "0"
        return "x" if _WITHIN in kinds else "x/"
    (character, _), (kind, _) = (one, other) if not one[1] else (other, one)
    if kind == _DIGIT:
        return character if character in "0123456789" else ""
    return "" if kind == _WITHIN and character == "/" else character
