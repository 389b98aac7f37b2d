"""The letters of strptime as Spark SQL: exactly what DuckDB's `try_strptime` reads.

Spark's own datetime patterns count digits in another way, so a format becomes a regular expression with a group for
each directive, and the groups become the one spelling of a timestamp that casts alike everywhere. DuckDB reads
digits greedily and never goes back, takes any number of spaces for a space of the format, names in any case, and
spaces around the whole.
"""

import re
from collections.abc import Sequence

from datalake_assets.errors import Unsupported
from datalake_assets.mapping.spark.text import SPACE, literal, with_parts

MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DIGITS = {"Y": 4, "y": 2, "m": 2, "d": 2, "j": 3, "H": 2, "I": 2, "M": 2, "S": 2, "f": 6}
_NAMES = {
    "B": MONTHS,
    "b": tuple(name[:3] for name in MONTHS),
    "A": WEEKDAYS,
    "a": tuple(name[:3] for name in WEEKDAYS),
    "p": ("am", "pm"),
}
_ZONE = r"([+-])([0-9]{2})(?:([0-9]{2})|:([0-9]{2})(?::([0-9]{2}))?)?"
_ZONE_SECONDS = (3600, 60, 60, 1)  # by group behind the sign
# A format with two of a row is read by DuckDB in its own order: which of them wins is nothing to rely on.
_RIVALS = ("Yy", "mbBj", "dj", "HI", "M", "S", "f", "p", "z")


def compile_format(format_: str, text: str) -> str:
    """The Spark SQL expression `text` as a TIMESTAMP_NTZ, in UTC when the format reads an offset; NULL if it is none.

    Raises:
        Unsupported: a format whose meaning hangs on the order in which DuckDB reads it.
    """
    pieces = _pieces(format_)
    directives = "".join(piece for piece, is_directive in pieces if is_directive)
    for rivals in _RIVALS:
        if len(found := [letter for letter in directives if letter in rivals]) > 1:
            raise Unsupported(
                f"format {format_!r} reads the same thing as {' and '.join('%' + letter for letter in found)}",
                expected="one of them, for a mapping on Spark",
            )
    groups: dict[str, int] = {}
    pattern, count = rf"\A{SPACE}*", 0
    for number, (piece, is_directive) in enumerate(pieces):
        if not is_directive:
            pattern += _written(piece)
            continue
        groups[piece] = count + 1
        if piece == "z":
            if _next_is_digit(pieces[number + 1 :]):
                raise Unsupported(f"format {format_!r} has digits right behind %z", expected="something else there")
            pattern += _ZONE
            count += 1 + len(_ZONE_SECONDS)
            continue
        count += 1
        if piece in _DIGITS:
            pattern += _number(_DIGITS[piece], pieces[number + 1 :])
        else:
            pattern += f"({'|'.join(_any_case(name) for name in _NAMES[piece])})"
    pattern += rf"{SPACE}*\z"
    if "z" in groups:
        # strptime reads +00:00 but not the Z that means the same.
        zulu = literal(r"[Zz]([ \t\n\f\r]*)\z")
        text = f"regexp_replace({text}, {zulu}, '+00:00$1')"
    return with_parts(text, pattern, count, lambda parts: _moment(parts, groups))


def _pieces(format_: str) -> list[tuple[str, bool]]:
    """Letters of directives and the texts between them, each with whether it is a directive."""
    pieces: list[tuple[str, bool]] = []
    for found in re.findall(r"%-?.|[^%]", format_, re.DOTALL):
        if found[0] == "%" and found != "%%":
            pieces.append((found[-1], True))
        elif pieces and not pieces[-1][1]:
            pieces[-1] = (pieces[-1][0] + found[-1], False)
        else:
            pieces.append((found[-1], False))
    return pieces


def _written(text: str) -> str:
    """A text of the format as a pattern."""
    return "".join(
        f"{SPACE}+" if spaces else re.escape(letter)
        for spaces, letter in re.findall(r"([ \t\n\v\f\r]+)|(.)", text, re.DOTALL)
    )


def _any_case(name: str) -> str:
    return "".join(f"[{letter.upper()}{letter}]" for letter in name)


def _next_is_digit(pieces: Sequence[tuple[str, bool]]) -> bool:
    """Whether what comes next begins with a digit, as far as the format tells."""
    return bool(pieces) and (pieces[0][0] in _DIGITS if pieces[0][1] else pieces[0][0][0].isdigit())


def _number(digits: int, behind: Sequence[tuple[str, bool]]) -> str:
    # Greedy without going back: with a digit right behind it, a number that is shorter would have taken that one too.
    return f"([0-9]{{{digits}}})" if _next_is_digit(behind) else f"([0-9]{{1,{digits}}})"


def _moment(parts: list[str], groups: dict[str, int]) -> str:
    found = {letter: parts[group - 1] for letter, group in groups.items()}
    clock = (
        f"lpad({_hour(found)}, 2, '0'), ':', lpad({found.get('M', literal('0'))}, 2, '0'), "
        f"':', lpad({found.get('S', literal('0'))}, 2, '0'), '.', rpad({found.get('f', literal('0'))}, 6, '0')"
    )
    day = f"lpad({found['d']}, 2, '0')" if "d" in found else "'01'"
    moment = f"try_cast(concat({_year(found)}, '-', {_month(found)}, '-', {day}, ' ', {clock}) AS TIMESTAMP_NTZ)"
    if "j" in found:
        ordinal = f"CAST({found['j']} AS INT)"
        moment = f"CASE WHEN {ordinal} BETWEEN 1 AND 366 THEN timestampadd(DAY, {ordinal} - 1, {moment}) END"
    if "z" in groups:
        sign, *digits = parts[groups["z"] - 1 : groups["z"] + len(_ZONE_SECONDS)]
        offset = " + ".join(
            f"CAST(concat('0', {found}) AS INT) * {factor}" for found, factor in zip(digits, _ZONE_SECONDS, strict=True)
        )
        moment = f"timestampadd(SECOND, CASE {sign} WHEN '-' THEN {offset} ELSE -({offset}) END, {moment})"
    return moment


def _year(found: dict[str, str]) -> str:
    if "Y" in found:
        return f"lpad({found['Y']}, 4, '0')"
    short = f"CAST({found['y']} AS INT)"
    return f"CAST({short} + CASE WHEN {short} < 69 THEN 2000 ELSE 1900 END AS STRING)"


def _month(found: dict[str, str]) -> str:
    if "m" in found:
        return f"lpad({found['m']}, 2, '0')"
    name = found.get("b") or found.get("B")
    if name is None:
        return "'01'"
    words = " ".join(f"WHEN '{month[:3]}' THEN '{number:02}'" for number, month in enumerate(MONTHS, start=1))
    return f"CASE lower(left({name}, 3)) {words} END"


def _hour(found: dict[str, str]) -> str:
    """The hour as a text, NULL where twelve hours were meant and it is none of them."""
    hour = f"CAST({found.get('H') or found.get('I') or literal('0')} AS INT)"
    if "p" in found:
        half = f"CASE lower({found['p']}) WHEN 'pm' THEN 12 ELSE 0 END"
        shown = f"CASE WHEN {hour} <= 12 THEN {hour} % 12 + {half} END"
    else:
        shown = hour
    if "I" in found:
        shown = f"CASE WHEN {hour} BETWEEN 1 AND 12 THEN {shown} END"
    return f"CAST({shown} AS STRING)"
