"""An entry is added to a YAML file, and everything else of it stays as somebody wrote it."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from datalake_assets.components.authoring.yaml_edit import append_entry
from datalake_assets.errors import ConfigurationError


def added(text: str, entry: str = "new: {id: 1}", key: str = "accounts") -> str:
    return append_entry(text, key, entry, where="a.yaml")


def test_comments_order_and_spelling_stay() -> None:
    text = "# first\naccounts:   # of ours\n    old:  {id: 0x10}  # the old one\n\n# the end\nother: 'x'\n"
    assert added(text) == text.replace("old one\n", "old one\n    new: {id: 1}\n")


def test_a_comment_of_the_last_entry_stays_with_it() -> None:
    text = "accounts:\n  old:\n    id: 1\n    # grants: {}\n# of all\n"
    assert added(text) == "accounts:\n  old:\n    id: 1\n    # grants: {}\n  new: {id: 1}\n# of all\n"


@pytest.mark.parametrize("empty", ["accounts:", "accounts: {}", "accounts:  # none yet", "accounts: null"])
def test_the_first_entry_finds_its_place(empty: str) -> None:
    text = f"platform: 1\n{empty}\nlast: 2\n"
    assert yaml.safe_load(added(text)) == {"platform": 1, "accounts": {"new": {"id": 1}}, "last": 2}


def test_lists_get_an_item_at_the_indentation_of_the_others() -> None:
    assert added("load_from:\n- a\n- b: {c: d}", "- e", "load_from") == "load_from:\n- a\n- b: {c: d}\n- e\n"


def test_windows_line_ends_stay() -> None:
    assert added("accounts:\r\n  old: 1\r\n") == "accounts:\r\n  old: 1\r\n  new: {id: 1}\r\n"


def test_a_text_of_several_lines_is_not_cut() -> None:
    text = "accounts:\n  old:\n    note: |\n      one\n      two\n    folded: >-\n      three\nlast: 2\n"
    assert yaml.safe_load(added(text))["accounts"]["old"] == {"note": "one\ntwo\n", "folded": "three"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("accounts: {old: 1}\n", "written in brackets"),
        ("accounts: [\n", "this is not YAML"),
        ("other: 1\n", "the key 'accounts' is missing"),
        ("accounts:\n  new: 2\n", "without changing what is there"),
    ],
)
def test_what_cannot_be_added_to_is_refused(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        added(text)


VALUES = st.recursive(
    st.integers() | st.text("ab #:\n'", max_size=8) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES), VALUES, st.booleans(), st.sampled_from([2, 4]))
def test_whatever_was_there_reads_the_same(before: object, other: object, is_last: bool, indent: int) -> None:
    data = {"accounts": before, "other": other} if is_last else {"other": other, "accounts": before}
    text = yaml.safe_dump(data, sort_keys=False, default_flow_style=False, indent=indent)
    assert yaml.safe_load(added(text)) == data | {"accounts": {**data["accounts"], "new": {"id": 1}}}  # type: ignore[dict-item]
