"""Compare the header of a raw file with the columns that the mapping reads."""

import difflib
from collections.abc import Sequence

from datalake_assets.errors import WrongHeader
from datalake_assets.formats.paths import path_parts
from datalake_assets.mapping.columns import Column, raw_paths
from datalake_assets.mapping.spec import MappingSpec

NAMES_SHOWN = 12


def check_header(spec: MappingSpec, header: Sequence[str], uri: str) -> list[str]:
    """Return the optional columns of the mapping that the file does not have.

    Names are compared exactly, without the spaces around them. An optional column that is there in another case is an
    error too: it would silently become NULL.

    Raises:
        WrongHeader: a required column is missing, no mapped column is there, a mapped one is there twice or in
            another case.
    """
    mapped = wanted_paths(spec)
    if repeated := [name for name in mapped if header.count(name) > 1]:
        raise WrongHeader(
            f"the header names {_listed(repeated)} more than once",
            where=uri,
            expected="each mapped column once",
            todo="Mend the file: which of them is meant cannot be known.",
        )
    missing = [name for name in mapped if name not in header]
    required = {column.from_ for column in spec.columns if isinstance(column, Column) and column.required}
    surplus = [name for name in header if name not in mapped]
    other_case = {name.casefold(): name for name in surplus}
    fatal = [name for name in missing if name in required or name.casefold() in other_case]
    if mapped and len(missing) == len(mapped):
        fatal = missing
    if fatal:
        raise WrongHeader(
            f"the header lacks {_listed(fatal)}",
            where=uri,
            expected=f"them among the columns found: {_listed(header)}",
            todo=_nearest(fatal, surplus) or "Mend the file or the mapping's `from`; is source.delimiter right?",
        )
    return [name for name in missing if name not in spec.dropped]


def wanted_paths(spec: MappingSpec) -> list[str]:
    """What the mapping takes from a record, dropped or not: names of raw columns, or paths into nested records."""
    paths = [path for column in spec.columns for path in raw_paths(column)]
    if spec.explode is not None:
        # The element of the exploded array is no member of the record; the array is.
        paths = [spec.explode.from_, *(path for path in paths if path_parts(path)[0] != spec.explode.as_)]
    return list(dict.fromkeys([*paths, *(child.from_ for child in spec.children)]))


def _nearest(missing: Sequence[str], surplus: Sequence[str]) -> str | None:
    folded = {name.casefold(): name for name in surplus}
    hints = [
        f"{folded[near[0]]!r} for {name!r}"
        for name in missing
        if (near := difflib.get_close_matches(name.casefold(), folded, n=1))
    ]
    return f"Is it {', '.join(hints)}? Names are compared exactly." if hints else None


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:NAMES_SHOWN])
    return f"{shown} and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else shown
