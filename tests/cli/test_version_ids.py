"""Version ids as people type them."""

import pytest

from datalake_assets.cli.version_ids import resolve, short, shortened
from datalake_assets.errors import ConfigurationError

FIRST = "20260131T140509000001Z-aaaa"
SAME_SECOND = "20260131T140509000002Z-bbbb"
LATER = "20260201T000000000000Z-cccc"


def test_an_id_is_shown_to_the_second() -> None:
    assert short(FIRST) == "20260131T140509"
    assert short(None) == "–"


def test_ids_of_one_second_are_shown_as_far_as_they_differ() -> None:
    assert shortened([FIRST, SAME_SECOND, LATER]) == {
        FIRST: "20260131T140509000001",
        SAME_SECOND: "20260131T140509000002",
        LATER: "20260201T000000",
    }


def test_what_is_shown_can_be_typed() -> None:
    versions = [FIRST, SAME_SECOND, LATER]
    for version, shown in shortened(versions).items():
        assert resolve(shown, versions, of="flights/flights") == version
        assert resolve(version, versions, of="flights/flights") == version


def test_a_beginning_of_several_ids_names_them() -> None:
    with pytest.raises(ConfigurationError, match=r"2 versions that begin with '20260131'.*20260131T140509000001"):
        resolve("20260131", [FIRST, SAME_SECOND, LATER], of="flights/flights 2013-01-01")


@pytest.mark.parametrize("text", ["2027", ""])
def test_an_unknown_id_names_those_that_there_are(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"has no version .*expected one of 20260201T000000"):
        resolve(text, [LATER], of="flights/airlines")
