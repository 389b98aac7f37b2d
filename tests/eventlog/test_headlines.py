"""Headlines come in order and each once, in as many readings as it takes."""

import dagster as dg
import pytest

from datalake_assets.errors import ConfigurationError
from datalake_assets.eventlog.headlines import Headline, asset_text, read_headlines

YEAR = 365 * 86_400.0


def report(instance: dg.DagsterInstance, *names: str) -> None:
    for name in names:
        instance.report_runless_asset_event(dg.AssetMaterialization(name, partition="p"))


def read_all(instance: dg.DagsterInstance, cursor: str | None, limit: int) -> tuple[list[Headline], str]:
    found: list[Headline] = []
    while True:
        news = read_headlines(instance, cursor, limit=limit)
        found += news.events
        cursor = news.cursor
        if not news.has_more:
            return found, cursor


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_what_happened_is_read_in_order_and_each_once(instance: dg.DagsterInstance, limit: int) -> None:
    report(instance, *"abcde")
    first, cursor = read_all(instance, None, limit)
    report(instance, *"fg")
    then, cursor = read_all(instance, cursor, limit)
    nothing, cursor = read_all(instance, cursor, limit)

    assert [each.asset for each in first] == [asset_text((name,)) for name in "abcde"]
    assert [each.asset for each in then] == [asset_text((name,)) for name in "fg"]
    assert nothing == []
    assert {each.partition for each in first} == {"p"}


def test_a_day_can_be_read_again(instance: dg.DagsterInstance) -> None:
    report(instance, "a")
    _, cursor = read_all(instance, None, 10)
    assert [each.asset for each in read_headlines(instance, cursor, again=True).events] == ['["a"]']
    assert read_headlines(instance, cursor, again=True, look_back_seconds=-60).events == []
    assert read_headlines(instance, None, look_back_seconds=YEAR).events != []


def test_a_log_without_tables_is_refused(tmp_path: object) -> None:
    class Files:
        event_log_storage = object()

    with pytest.raises(ConfigurationError, match="the event log is a object"):
        read_headlines(Files(), None)  # type: ignore[arg-type]
