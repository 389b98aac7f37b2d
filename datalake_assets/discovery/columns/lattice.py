"""The lattice of types: which type holds the values of two others.

    null < boolean                                                     < varchar
    null < smallint < int < bigint < decimal(p,s) … decimal(38,s)      < varchar
    null < smallint < int < bigint < double, real < double             < varchar
    null < date < timestamp                                            < varchar
    null < array<…>, map<…>, struct<…>, merged part by part            < varchar (their JSON text)

A decimal grows until it holds all digits before and all digits after the point; beyond 38 digits it is text. Decimal
and double meet in double. What has no common type but text is text. `join` is commutative up to the order of the fields
of a struct, so of two files it does not matter which was read first.
"""

from datalake_assets.column_types import MAX_DECIMAL_DIGITS, MAX_DECIMAL_SCALE, TargetType

TEXT = TargetType("varchar")
INTEGER_DIGITS = {"smallint": 5, "int": 10, "bigint": 19}
_INTEGERS = ("smallint", "int", "bigint")
_FLOATS = ("real", "double")


def join(one: TargetType | None, other: TargetType | None) -> TargetType | None:
    """The least type that holds the values of both; None is the type of null alone."""
    if one is None or other is None or one == other:
        return one or other
    if one.is_nested or other.is_nested:
        return _join_nested(one, other)
    kinds = {one.kind, other.kind}
    if kinds <= set(_INTEGERS):
        return max(one, other, key=lambda each: _INTEGERS.index(each.kind))
    if kinds <= {*_INTEGERS, "decimal"}:
        return _join_decimals(one, other)
    if kinds <= {*_INTEGERS, "decimal", *_FLOATS}:
        return TargetType("double")
    if kinds == {"date", "timestamp"}:
        return TargetType("timestamp")
    if kinds == {"varchar"} and one.length and other.length:
        return TargetType("varchar", length=max(one.length, other.length))
    return TEXT


def decimal(int_digits: int, scale: int) -> TargetType:
    """The decimal with so many digits before and after the point; text when there is none."""
    if int_digits + scale > MAX_DECIMAL_DIGITS or scale > MAX_DECIMAL_SCALE:
        return TEXT
    return TargetType("decimal", precision=max(int_digits + scale, 1), scale=scale)


def _join_decimals(one: TargetType, other: TargetType) -> TargetType:
    digits, scales = [], []
    for each in (one, other):
        scales.append(each.scale or 0)
        digits.append(INTEGER_DIGITS[each.kind] if each.precision is None else each.precision - (each.scale or 0))
    return decimal(max(digits), max(scales))


def _join_nested(one: TargetType, other: TargetType) -> TargetType:
    kinds = {one.kind, other.kind}
    if kinds == {"array"}:
        return TargetType("array", parts=(("element", _or_text(join(one.parts[0][1], other.parts[0][1]))),))
    if kinds == {"map"}:
        return TargetType(
            "map",
            parts=tuple(
                (label, _or_text(join(mine, theirs)))
                for (label, mine), (_, theirs) in zip(one.parts, other.parts, strict=True)
            ),
        )
    if kinds == {"struct"}:
        fields = dict(one.parts)
        for name, part in other.parts:
            fields[name] = _or_text(join(fields.get(name), part))
        return TargetType("struct", parts=tuple(fields.items()))
    if kinds == {"map", "struct"}:
        the_map, struct = (one, other) if one.kind == "map" else (other, one)
        value: TargetType | None = the_map.parts[1][1]
        for _, part in struct.parts:
            value = join(value, part)
        if the_map.parts[0][1].kind == "varchar":
            return TargetType("map", parts=(the_map.parts[0], ("value", _or_text(value))))
    return TEXT


def _or_text(found: TargetType | None) -> TargetType:
    return found or TEXT
