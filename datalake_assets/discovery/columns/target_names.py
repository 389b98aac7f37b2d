"""Valid and unique names for whatever a file calls its columns.

The rule: accents are dropped (`Größe` → groesse, `café` → cafe), humps become words (`ListingID` → listing_id), what is
neither letter nor digit becomes `_`, a digit at the start gets `c_` before it, and an empty name is `column_N` by its
place. The second column of a name gets `_2`, the third `_3`, in the order of the file.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from datalake_assets import names

RESERVED = (names.SOURCE_FILE_COLUMN, names.SOURCE_ROW_COLUMN, names.RESCUED_COLUMN, names.PARTITION_COLUMN)

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[^a-z0-9]+")
_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "æ": "ae", "ø": "oe", "ł": "l"})  # fmt: skip  # noqa: E501


def target_name(raw: str, *, position: int = 0, prefix: str = "column") -> str:
    """A valid name for one raw name; `position` counts from 0 and names what has no letters we can write."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFC", raw).translate(_LETTERS))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    name = _OTHER.sub("_", _HUMP.sub("_", plain).lower()).strip("_")
    if not name:
        return f"{prefix}_{position + 1}"
    if name[0].isdigit():
        name = f"c_{name}"
    return names.identifier(name[: names.MAX_IDENTIFIER_CHARACTERS].rstrip("_"))


def unique_names(raw: Sequence[str], *, taken: Iterable[str] = (), prefix: str = "column") -> list[str]:
    """Valid names for all columns of a table, none twice and none of `taken`; same input, same names."""
    used = set(taken)
    result = []
    # A name that needs no change keeps it: `id` before `ID`, whichever comes first.
    exact = {name for name in raw if target_name(name) == name}
    given: set[str] = set()
    for position, text in enumerate(raw):
        name = target_name(text, position=position, prefix=prefix)
        candidate, number = name, 2
        while candidate in used or (candidate in exact and (candidate != text or candidate in given)):
            ending = f"_{number}"
            candidate = name[: names.MAX_IDENTIFIER_CHARACTERS - len(ending)] + ending
            number += 1
        used.add(candidate)
        given.add(candidate)
        result.append(candidate)
    return result
