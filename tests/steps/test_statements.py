"""SQL text is cut where a statement ends, and nowhere else."""

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datalake_assets.errors import ConfigurationError
from datalake_assets.steps.statements import partition_literal, split_statements

DAY = "DATE '2026-01-05'"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" ;; -- nothing\n ; /* at all */ ", []),
        ("select 1; select 2", ["select 1", "select 2"]),
        ("-- a;b\nselect ';' ;", ["-- a;b\nselect ';'"]),
        ("/* ; /* ; */ ; */ select 1; select 2", ["/* ; /* ; */ ; */ select 1", "select 2"]),
        ("select 'it''s;'; select E'\\';'", ["select 'it''s;'", "select E'\\';'"]),
        ('select "a;""b"; select 2', ['select "a;""b"', "select 2"]),
        ("select $$ a;b $$; select $x$ a;$$;b $x$; x", ["select $$ a;b $$", "select $x$ a;$$;b $x$", "x"]),
        ("select a$$b; select 2", ["select a$$b", "select 2"]),
        ("select 'open; ;", ["select 'open; ;"]),
        ("select /* open; ;", ["select /* open; ;"]),
        ("select '100%'; select 5 % 2", ["select '100%'", "select 5 % 2"]),
        ("$partition", [DAY]),
        ("select $partition, '$partition' -- $partition", [f"select {DAY}, '$partition' -- $partition"]),
        ("select $partitions", ["select $partitions"]),
    ],
)
def test_a_text_is_cut_at_its_semicolons(text: str, expected: list[str]) -> None:
    assert list(split_statements(text, partition=DAY)) == expected


PIECES = st.sampled_from(["select 1", "'a;b'", '"c;d"', "$$ e;f $$", "/* ; */", "-- ;\n", " ", "x"])


@given(st.lists(st.lists(PIECES, max_size=4).map(" ".join), max_size=5))
def test_what_is_joined_by_semicolons_is_cut_there_again(statements: list[str]) -> None:
    found = list(split_statements("\n;".join(statements)))
    kept = [each.strip() for each in statements if each.replace("/* ; */", "").replace("-- ;\n", "").strip()]
    assert found == kept


@given(st.text(alphabet="a;'\"$-/*\\\n E"))
def test_no_character_is_lost(text: str) -> None:
    found = list(split_statements(text))
    at = 0
    for statement in found:
        found_at = text.find(statement, at)
        assert found_at >= 0
        at = found_at + len(statement)
    assert all(one or other for one, other in pairwise(found))


def test_the_value_needs_partitions() -> None:
    with pytest.raises(ConfigurationError, match="the pipeline has no partitions"):
        list(split_statements("select $partition"))


def test_a_day_is_a_date_and_an_hour_a_timestamp() -> None:
    begin = dt.datetime(2026, 1, 4, 23, tzinfo=dt.UTC)
    assert partition_literal("2026-01-05", begin, begin + dt.timedelta(days=1)) == DAY
    hour = partition_literal("2026-01-05-00:00", begin, begin + dt.timedelta(hours=1))
    assert hour == "TIMESTAMP '2026-01-04 23:00:00'"
