"""PostgreSQL's types as target types."""

import re

from datalake_assets.column_types import MAX_DECIMAL_DIGITS, MAX_DECIMAL_SCALE, MAX_VARCHAR_BYTES, TargetType
from datalake_assets.discovery.columns.lattice import TEXT

_PLAIN = {
    "smallint": "smallint",
    "integer": "int",
    "bigint": "bigint",
    "real": "real",
    "double precision": "double",
    "boolean": "boolean",
    "date": "date",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamp",
    "text": "varchar",
    "name": "varchar",
    "uuid": "varchar",
    '"char"': "varchar",
    "oid": "bigint",
}
# Types whose texts are what everybody expects.
_TEXTS = ("time without time zone", "time with time zone", "interval", "inet", "cidr", "macaddr", "xml", "citext")
_SIZED = re.compile(r"([a-z ]+?)\s*\((\d+)(?:,(-?\d+))?\)(.*)")
_BYTES_PER_CHARACTER = 4


def target_type(declared: str, kind: str = "b") -> tuple[TargetType, str | None]:
    """The target type of what `format_type` says, and a note when it is no exact one.

    Args:
        declared: for example `numeric(12,2)` or `text[]`.
        kind: of `pg_type.typtype`: b base, e enum, c composite, d domain.
    """
    if declared.endswith("[]"):
        element, note = target_type(declared.removesuffix("[]"), "b")
        return TargetType("array", parts=(("element", element),)), note
    if declared in _PLAIN:
        return TargetType(_PLAIN[declared]), None  # type: ignore[arg-type]
    sized = _SIZED.fullmatch(declared)
    base = (sized[1] + sized[4]) if sized else declared
    if base in ("timestamp without time zone", "timestamp with time zone"):
        return TargetType("timestamp"), None
    if base in ("character varying", "character"):
        # PostgreSQL counts characters, the lake bytes.
        length = int(sized[2]) * _BYTES_PER_CHARACTER if sized else MAX_VARCHAR_BYTES + 1
        return (TargetType("varchar", length=length) if length <= MAX_VARCHAR_BYTES else TEXT), None
    if base == "numeric":
        return _numeric(int(sized[2]), int(sized[3] or 0)) if sized else _numeric(None, 0)
    if declared in ("json", "jsonb"):
        return TEXT, f"{declared}: its JSON text; crawl its values to see what is in them"
    if declared == "money":
        return TargetType("decimal", precision=18, scale=2), "money: its text depends on the locale"
    if declared == "bytea":
        return TEXT, "bytes: their text in hexadecimal"
    if kind == "e" or base in _TEXTS:
        return TEXT, None
    return TEXT, f"{declared} is read as its text"


def _numeric(precision: int | None, scale: int) -> tuple[TargetType, str | None]:
    if precision is None:
        wide = TargetType("decimal", precision=MAX_DECIMAL_DIGITS, scale=10)
        return wide, "numeric without precision: ten digits after the point are a guess"
    if precision > MAX_DECIMAL_DIGITS or not 0 <= scale <= min(precision, MAX_DECIMAL_SCALE):
        return TEXT, f"numeric({precision},{scale}) has more digits than the lake's decimals"
    return TargetType("decimal", precision=precision, scale=scale), None
