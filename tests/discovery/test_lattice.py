"""The lattice of types."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datalake_assets.column_types import TargetType
from datalake_assets.discovery.columns.lattice import join

PLAIN = [
    "boolean", "smallint", "int", "bigint", "real", "double", "decimal(9,2)", "decimal(38,10)", "date", "timestamp",
    "varchar", "varchar(20)",
]  # fmt: skip
plain = st.sampled_from([TargetType.parse(text) for text in PLAIN])
types = st.recursive(
    plain,
    lambda inner: st.one_of(
        inner.map(lambda part: TargetType("array", parts=(("element", part),))),
        inner.map(lambda part: TargetType("map", parts=(("key", TargetType("varchar")), ("value", part)))),
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=2).map(
            lambda fields: TargetType("struct", parts=tuple(sorted(fields.items())))
        ),
    ),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("int", "bigint", "bigint"),
        ("int", "decimal(9,2)", "decimal(12,2)"),
        ("bigint", "decimal(38,30)", "varchar"),
        ("bigint", "decimal(38,2)", "decimal(38,2)"),
        ("decimal(9,2)", "decimal(9,4)", "decimal(11,4)"),
        ("decimal(9,2)", "double", "double"),
        ("date", "timestamp", "timestamp"),
        ("boolean", "int", "varchar"),
        ("date", "int", "varchar"),
        ("array<int>", "array<double>", "array<double>"),
        ("struct<a:int>", "struct<b:int>", "struct<a:int,b:int>"),
        ("map<varchar,int>", "struct<a:bigint>", "map<varchar,bigint>"),
        ("array<int>", "int", "varchar"),
        ("varchar(5)", "varchar(9)", "varchar(9)"),
    ],
)
def test_the_join_is_the_least_type_that_holds_both(one: str, other: str, expected: str) -> None:
    assert str(join(TargetType.parse(one), TargetType.parse(other))) == expected


def test_null_is_below_everything() -> None:
    assert join(None, TargetType("date")) == TargetType("date")
    assert join(None, None) is None


def _sorted(found: TargetType | None) -> str:
    """The type with the fields of its structs in the order of their names."""
    if found is None or not found.parts:
        return str(found)
    parts = sorted(found.parts) if found.kind == "struct" else found.parts
    return f"{found.kind}<{','.join(f'{name}:{_sorted(part)}' for name, part in parts)}>"


@given(types, types)
def test_the_order_of_two_files_does_not_matter(one: TargetType, other: TargetType) -> None:
    assert _sorted(join(one, other)) == _sorted(join(other, one))


@given(types)
def test_a_type_with_itself_is_itself(one: TargetType) -> None:
    assert join(one, one) == one
