from concurrent.futures import ThreadPoolExecutor

from datalake_assets.arrivals.notices import Notice, Notices
from datalake_assets.database.engine import engine
from tests.arrivals.builders import SOURCE


def notice(key: str, partition: str = "2013-01-01") -> Notice:
    return Notice("flights", SOURCE, partition, "late", "late files", key)


def test_a_notice_is_written_once_for_its_key(empty_ledger_url: str) -> None:
    notices = Notices(engine(empty_ledger_url))
    assert notices.record([]) == 0
    assert notices.record([notice("a"), notice("b"), notice("a")]) == 2
    assert notices.record([notice("b"), notice("c", "2013-01-02")]) == 1
    told = notices.after(0)
    assert [each.partition for each in told] == ["2013-01-01", "2013-01-01", "2013-01-02"]
    assert notices.after(told[0].id, limit=1) == [told[1]]
    assert notices.after(told[-1].id) == []


def test_of_writers_at_once_each_key_is_new_to_one(empty_ledger_url: str) -> None:
    notices = Notices(engine(empty_ledger_url))
    with ThreadPoolExecutor(4) as pool:
        new = list(pool.map(lambda _: notices.record([notice(str(n)) for n in range(20)]), range(8)))
    assert sum(new) == 20
    assert len(notices.after(0)) == 20
