"""The tags that runs are known by, and the clock that can be moved."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datalake_assets.errors import ConfigurationError
from datalake_assets.triggers import clock
from datalake_assets.triggers.model import Start
from datalake_assets.triggers.tags import (
    INPUTS_TAG,
    MAX_TAG_CHARACTERS,
    PARTITION_TAG,
    covers,
    inputs_of,
    number_of,
    start_tags,
)

POSTGRES_INDEX_BYTES = 2_600  # a tag is part of an index, whose entries have a limit


@given(st.dictionaries(st.text(min_size=1, max_size=80), st.integers(0, 2**60), max_size=60))
def test_inputs_are_read_back_however_many_there_are(inputs: dict[str, int]) -> None:
    tags = start_tags("a/b", "2026-11-20", Start("key", 3, "why", inputs))
    assert inputs_of(tags) == inputs
    assert number_of(tags) == 3
    assert all(len(value.encode()) <= POSTGRES_INDEX_BYTES for value in tags.values())


def test_a_run_that_no_trigger_asked_for_has_no_number_and_no_inputs() -> None:
    assert (number_of({}), inputs_of({})) == (0, {})


def test_a_long_reason_is_cut() -> None:
    tags = start_tags("a/b", "", Start("key", 1, "x" * 5_000, {}))
    assert len(tags["datalake/reason"]) == MAX_TAG_CHARACTERS
    assert PARTITION_TAG not in tags
    assert tags[INPUTS_TAG] == "{}"


@pytest.mark.parametrize(
    ("partition", "is_taken"),
    [("2026-01-01", True), ("2026-01-02", False), ("2026-01-04", True), ("2026-01-05", True), ("2026-01-06", False)],
)
def test_a_range_with_gaps_takes_what_it_names(partition: str, is_taken: bool) -> None:
    tags = {"datalake/partitions": '["2026-01-01","2026-01-03..2026-01-05"]'}
    assert covers(tags, partition) is is_taken
    assert covers({}, partition)


def test_the_clock_is_that_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(clock.CLOCK_VARIABLE, raising=False)
    assert abs(clock.now() - time.time()) < 60


@pytest.mark.parametrize("text", ["2026-11-21T03:00:00Z", "2026-11-21T04:00:00+01:00\n", "2026-11-21 03:00"])
def test_a_file_tells_the_time(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clock").write_text(text)
    monkeypatch.setenv(clock.CLOCK_VARIABLE, str(tmp_path / "clock"))
    assert clock.now() == 1795230000.0


@pytest.mark.parametrize("text", [None, "", "yesterday"])
def test_a_clock_that_tells_nothing_is_refused(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        (tmp_path / "clock").write_text(text)
    monkeypatch.setenv(clock.CLOCK_VARIABLE, str(tmp_path / "clock"))
    with pytest.raises(ConfigurationError):
        clock.now()
