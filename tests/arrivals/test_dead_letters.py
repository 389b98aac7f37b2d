from concurrent.futures import ThreadPoolExecutor

from datalake_assets.arrivals.dead_letters import DeadLetters, Unexpected
from datalake_assets.arrivals.ledger import Ledger
from tests.arrivals.builders import SOURCE


def letter(key: str = "x/a.csv", *, location: str = "flights", source_id: str | None = None) -> Unexpected:
    return Unexpected(location, "unexpected_key", "it looks like nothing", "raw", key, source_id)


def poison(body: str) -> Unexpected:
    return Unexpected("flights", "poison_message", "not JSON", body=body)


def test_a_dead_letter_is_told_once_and_counted_from_then_on(dead_letters: DeadLetters) -> None:
    assert dead_letters.record([letter(), letter()]) == 1
    (first,) = dead_letters.after(0)
    assert dead_letters.record([letter(), letter("x/b.csv")]) == 1
    assert [found.key for found in dead_letters.after(first.id)] == ["x/b.csv"]
    assert {found.key: found.seen for found in dead_letters.unresolved()} == {"x/a.csv": 2, "x/b.csv": 1}


def test_a_resolved_letter_that_comes_back_is_told_again(dead_letters: DeadLetters) -> None:
    dead_letters.record([letter()])
    (first,) = dead_letters.after(0)
    assert dead_letters.resolve([("raw", "x/a.csv")]) == 1
    assert dead_letters.unresolved() == []
    assert [found.id for found in dead_letters.newest()] == [first.id]
    assert dead_letters.record([letter()]) == 1
    assert len(dead_letters.after(first.id)) == 1


def test_letters_of_another_location_are_not_told(dead_letters: DeadLetters) -> None:
    dead_letters.record([letter(location="search"), letter()])
    assert [found.location for found in dead_letters.after(0, location="search")] == ["search"]
    assert len(dead_letters.unresolved()) == 2


def test_letters_after_an_id_come_in_its_order_and_in_portions(dead_letters: DeadLetters) -> None:
    dead_letters.record([letter(str(n)) for n in range(25)])
    told, last = [], 0
    while portion := dead_letters.after(last, limit=10):
        told += [found.id for found in portion]
        last = portion[-1].id
    assert told == sorted(told)
    assert len(told) == 25


def test_four_writers_at_once_write_each_letter_once(dead_letters: DeadLetters) -> None:
    letters = [letter(str(n)) for n in range(50)]
    with ThreadPoolExecutor(4) as pool:
        new = list(pool.map(lambda n: dead_letters.record(letters[::-1] if n % 2 else letters), range(4)))
    assert sum(new) == 50
    assert {found.seen for found in dead_letters.unresolved()} == {4}


def test_bodies_that_no_database_can_hold_are_kept_readably(dead_letters: DeadLetters) -> None:
    dead_letters.record([poison("a\x00b"), poison("\ud800"), poison("x" * 100_000)])
    bodies = [found.body or "" for found in dead_letters.unresolved()]
    assert {"a\\x00b", "\\ud800"} < set(bodies)
    assert max(map(len, bodies)) == 4_000


def test_the_summary_counts_the_unexpected_keys_of_a_source(ledger: Ledger, dead_letters: DeadLetters) -> None:
    dead_letters.record([letter(source_id=SOURCE), letter("x/b.csv", source_id=SOURCE), letter("y")])
    dead_letters.resolve([("raw", "x/b.csv")])
    (summary,) = ledger.summary([SOURCE])
    assert summary.unexpected == 1
