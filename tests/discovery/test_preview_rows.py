"""Nested records as texts by member, and the order of columns over several objects."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datalake_assets.discovery.preview import _without_empty_end, members, on_one_line
from datalake_assets.discovery.preview_rows import _order
from datalake_assets.errors import UnreadableObject

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON), st.sampled_from([None, 1]))
def test_members_are_texts_that_mean_the_same(record: dict[str, object], indent: int | None) -> None:
    found = members(json.dumps(record, indent=indent))
    assert list(found) == list(record)
    for name, value in record.items():
        text = found[name]
        if value is None:
            assert text is None
        elif isinstance(value, str):
            assert text == value
        else:
            assert text is not None
            assert json.loads(text) == value


def test_numbers_and_nested_values_keep_their_spelling() -> None:
    found = members('{"a": 1.50, "b": 1e2 , "c": {"x" : [1, 2.0]}, "d": "1.50", "a": 12345678901234567890.1}')
    assert found == {"a": "12345678901234567890.1", "b": "1e2", "c": '{"x" : [1, 2.0]}', "d": "1.50"}


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"a" 1}', '{"a": }', '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"],
)
def test_what_is_no_readable_object_says_so(text: str) -> None:
    with pytest.raises(UnreadableObject):
        members(text)


def test_a_record_that_is_no_object_has_one_value() -> None:
    assert members(' [1, "a"] ') == {"value": '[1, "a"]'}
    assert members('"text"') == {"value": "text"}


@given(st.dictionaries(st.text(), JSON))
def test_a_record_on_one_line_means_the_same(record: dict[str, object]) -> None:
    text = on_one_line(json.dumps(record, indent=2))
    assert "\n" not in text
    assert json.loads(text) == record


def test_only_empty_texts_at_the_end_are_dropped() -> None:
    assert _without_empty_end(["1", "", "a", "", ""], 1) == ["1", "", "a"]
    assert _without_empty_end(["", "", ""], 2) == ["", ""]


def test_objects_with_the_same_columns_in_another_order_fit_together() -> None:
    assert _order(("a", "b"), ("a", "b")) == ()
    assert _order(("a", "b"), ("b", "a")) == (1, 0)
    assert _order(("a", "b"), ("a", "c")) is None
    assert _order(("a", "a"), ("a", "a")) == ()
    assert _order(None, None) == ()
    assert _order(None, ("a",)) is None
