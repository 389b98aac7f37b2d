"""When a run starts, and why: the pure decision."""

from collections.abc import Collection

from hypothesis import given, settings
from hypothesis import strategies as st

from datalake_assets.triggers.decision import (
    Change,
    Decision,
    Facts,
    Outcome,
    Seen,
    Target,
    Timing,
    Waiting,
    absorb,
    affected_by,
    decide,
)

FLIGHTS, WEATHER, AIRLINES = "lake/flights", "lake/weather", "lake/airlines"
SOURCES = {FLIGHTS, WEATHER, AIRLINES}
TARGETS = [
    Target("stg_flights", frozenset({FLIGHTS}), needs=frozenset({"stg_airlines"})),
    Target("stg_weather", frozenset({WEATHER})),
    Target("stg_airlines", frozenset({AIRLINES})),
    Target("daily_delays", frozenset({"stg_flights", "stg_airlines"})),
    Target("weather_delays", frozenset({"stg_flights", "stg_weather"})),
]
TIMING = Timing(settle_seconds=10, max_wait_seconds=100)


def after(*news: tuple[str, int, float], before: Waiting | None = None) -> Waiting:
    return absorb(before or Waiting(), [Seen(*each) for each in news], TARGETS)


def decided(
    waiting: Waiting,
    now: float = 1_000,
    *,
    exists: Collection[str] = SOURCES,
    loading: Collection[str] = (),
    in_flight: bool = False,
    outcome: Outcome = "unknown",
) -> Decision:
    return decide("dbt", TARGETS, waiting, Facts(now, exists, loading, in_flight, outcome), TIMING)


def test_nothing_starts_without_news() -> None:
    assert decided(Waiting()).request is None


def test_news_about_strangers_is_no_news() -> None:
    waiting = after(("other/table", 5, 0.0))

    assert waiting == Waiting()


def test_a_run_starts_after_the_settle_time() -> None:
    waiting = after((FLIGHTS, 5, 100.0))

    assert decided(waiting, now=109).request is None
    assert decided(waiting, now=110).request is not None


def test_each_new_partition_prolongs_the_wait() -> None:
    waiting = after((FLIGHTS, 6, 108.0), before=after((FLIGHTS, 5, 100.0)))

    assert decided(waiting, now=112).request is None
    assert decided(waiting, now=118).request is not None


def test_a_steady_stream_of_partitions_does_not_put_off_the_run_for_ever() -> None:
    waiting = after(*((FLIGHTS, 5 + i, float(100 + 5 * i)) for i in range(21)))

    assert decided(waiting, now=201).request is not None


def test_a_source_that_is_being_loaded_is_waited_for() -> None:
    waiting = after((FLIGHTS, 5, 100.0))

    held = decided(waiting, now=150, loading={WEATHER})
    assert held.request is None
    assert "lake/weather, being loaded" in held.message
    assert decided(waiting, now=201, loading={WEATHER}).request is not None


def test_only_models_downstream_of_the_changed_sources_run() -> None:
    request = decided(after((WEATHER, 5, 0.0))).request

    assert request is not None
    assert request.selection == ["stg_weather", "weather_delays"]
    assert affected_by({AIRLINES}, TARGETS) == ["daily_delays", "stg_airlines"]


def test_one_run_covers_everything_that_came_while_another_was_in_flight() -> None:
    first = decided(after((FLIGHTS, 5, 0.0)))
    waiting = after((WEATHER, 7, 20.0), (FLIGHTS, 8, 21.0), before=first.waiting)
    held = decided(waiting, in_flight=True, outcome="running")
    then = decided(held.waiting, outcome="succeeded")

    assert held.request is None
    assert then.request is not None
    assert dict(then.request.parents) == {FLIGHTS: Change(8), WEATHER: Change(7)}
    assert decided(then.waiting, outcome="succeeded").request is None


def test_deciding_again_about_the_same_news_asks_for_the_same_run() -> None:
    one, two = (decided(after((FLIGHTS, 5, 0.0), (WEATHER, 6, 0.0))).request for _ in range(2))

    assert one is not None
    assert two is not None
    assert one.run_key == two.run_key


def test_a_repaired_source_asks_for_a_new_run() -> None:
    one, two = (decided(after((FLIGHTS, storage_id, 0.0))).request for storage_id in (5, 6))

    assert one is not None
    assert two is not None
    assert one.run_key != two.run_key


def test_a_failed_run_is_not_repeated_by_itself() -> None:
    first = decided(after((FLIGHTS, 5, 0.0)))
    failed = decided(first.waiting, outcome="failed")

    assert failed.request is None
    assert decided(failed.waiting, outcome="unknown").request is None


def test_what_a_failed_run_left_undone_is_done_with_the_next_news() -> None:
    first = decided(after((FLIGHTS, 5, 0.0)))
    failed = decided(first.waiting, outcome="failed")
    then = decided(after((AIRLINES, 9, 50.0), before=failed.waiting))

    assert then.request is not None
    assert set(then.request.selection) == {"stg_flights", "stg_airlines", "daily_delays", "weather_delays"}
    assert then.request.reason == "new: lake/airlines (1); again: lake/flights (1)"


def test_a_request_that_never_became_a_run_is_made_again_under_its_key() -> None:
    first = decided(after((FLIGHTS, 5, 0.0)))
    lost = decided(first.waiting, now=1_001, outcome="unknown")
    again = decided(lost.waiting, now=2_000)

    assert first.request is not None
    request = lost.request or again.request
    assert request is not None
    assert request.run_key == first.request.run_key


def test_a_model_waits_until_all_its_sources_were_loaded_once() -> None:
    held = decided(after((FLIGHTS, 5, 0.0)), exists={FLIGHTS, WEATHER})

    assert held.request is None
    assert "wait for lake/airlines" in held.message
    then = decided(after((AIRLINES, 9, 50.0), before=held.waiting))
    assert then.request is not None
    assert len(then.request.selection) == 4


def test_a_missing_source_holds_back_only_its_own_models() -> None:
    started = decided(after((WEATHER, 5, 0.0), (FLIGHTS, 6, 0.0)), exists={FLIGHTS, WEATHER})

    assert started.request is not None
    assert started.request.selection == ["stg_weather"]
    assert set(started.waiting.owed) == {FLIGHTS, WEATHER}
    assert decided(started.waiting, exists={FLIGHTS, WEATHER}, outcome="succeeded").request is None


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(sorted(SOURCES)),
            st.sampled_from(["run ends well", "run fails", "request is lost", "tick is lost"]),
        ),
        max_size=40,
    )
)
def test_whatever_happens_every_change_is_covered_and_no_run_is_doubled(steps: list[str]) -> None:
    waiting, now, storage_id = Waiting(), 0.0, 0
    runs: dict[str, Outcome] = {}
    covered: dict[str, int] = {}
    newest: dict[str, int] = {}
    requested: dict[str, dict[str, int]] = {}

    def tick(*, is_lost: bool = False, never_made: bool = False) -> None:
        nonlocal waiting
        outcome = runs.get(waiting.requested_key, "unknown")
        in_flight = "running" in runs.values()
        decision = decided(waiting, now, in_flight=in_flight, outcome=outcome)
        if decision.request is not None and not never_made and decision.request.run_key not in runs:
            assert not in_flight
            runs[decision.request.run_key] = "running"
            requested[decision.request.run_key] = {k: c.storage_id for k, c in decision.request.parents.items()}
        if not is_lost:
            waiting = decision.waiting

    def end(outcome: Outcome) -> None:
        for key in [key for key, state in runs.items() if state == "running"]:
            runs[key] = outcome
            if outcome == "succeeded":
                for source, seen in requested[key].items():
                    covered[source] = max(covered.get(source, 0), seen)

    for step in steps:
        now += 50
        if step in SOURCES:
            storage_id += 1
            newest[step] = storage_id
            waiting = absorb(waiting, [Seen(step, storage_id, now)], TARGETS)
            now += 50
            tick()
        elif step == "run ends well":
            end("succeeded")
            tick()
        elif step == "run fails":
            end("failed")
            tick()
        else:
            tick(is_lost=step == "tick is lost", never_made=step == "request is lost")

    # Afterwards all is well and one more change arrives: everything is covered.
    for source in [FLIGHTS, FLIGHTS]:
        now += 200
        storage_id += 1
        newest[source] = storage_id
        waiting = absorb(waiting, [Seen(source, storage_id, now)], TARGETS)
        for _ in range(4):
            now += 200
            tick()
            end("succeeded")
    assert covered == newest
