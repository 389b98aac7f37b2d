"""What `trigger` may say, what becomes of it, and where its mistakes are reported."""

import textwrap
from datetime import date, time
from pathlib import Path

import dagster as dg
import pytest

from datalake_assets.arrivals.conditions import DailyTime
from datalake_assets.arrivals.partitions import Daily
from datalake_assets.components.declarations import LAKE_PIPELINE, AnyDeclaration, read_all
from datalake_assets.components.lake_pipeline import build_arrival_source
from datalake_assets.components.partitions import build_partitions
from datalake_assets.components.triggering import build_trigger, parent_of, triggers_of
from datalake_assets.components.words.pipeline_spec import PipelineSpec
from datalake_assets.errors import ConfigurationError
from datalake_assets.triggers.calendars import Calendar
from datalake_assets.triggers.model import (
    AllOf,
    AnyOf,
    Arrived,
    Condition,
    Due,
    Execution,
    Parent,
    PipelineTrigger,
    Span,
)
from datalake_assets.triggers.schedules import Schedule, TimeOfDay

FILE = """\
type: {type}
attributes:
  name: {name}
  owner: team:shop
  source: {{s3: "{name}/dt={{partition}}/*.csv", format: csv}}
  partitions: {{daily: "2026-01-01"}}
  columns: [{{from: Id, to: order_id, type: bigint}}]
"""


def declare(root: Path, name: str, more: str = "", *, location: str = "flights") -> Path:
    path = root / location / name / "defs.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = FILE.format(type=LAKE_PIPELINE, name=name)
    path.write_text(head + textwrap.indent(textwrap.dedent(more), "  "), encoding="utf-8")
    return path


def read(root: Path, more: str) -> AnyDeclaration:
    (found,) = read_all(declare(root, "child", more))
    return found


def trigger(root: Path, more: str) -> PipelineTrigger:
    found = build_trigger("flights", read(root, more).spec, lambda name: Parent(name, (), Calendar(), name))
    assert found is not None
    return found


def condition(root: Path, more: str) -> Condition:
    return trigger(root, more).condition


def complaint(root: Path, more: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(root, more)
    return str(caught.value)


def test_files_alone_are_left_to_the_arrival_sensor(tmp_path: Path) -> None:
    for words in ("", "trigger: {arrivals: {settle: 5s}}"):
        assert build_trigger("flights", read(tmp_path, words).spec, pytest.fail) is None


SCHEDULE_AS_PRINTED = """\
trigger: 
    schedule: 
        hour: 3
"""  # noqa: W291
EXECUTIONS_AS_PRINTED = """\
trigger: 
    executions: 
        allOf: 
            - name: listings 
              account: Account_A_ID 
              status: 
                  - SUCCESS 
            - name: searches 
              account: Account_B_ID 
              status: 
                  - SUCCESS
"""  # noqa: W291


def test_the_schedule_of_the_case_study_is_valid_as_printed(tmp_path: Path) -> None:
    assert condition(tmp_path, SCHEDULE_AS_PRINTED) == AllOf((Due(Schedule("0 3 * * *", "UTC")), Arrived()))


@pytest.mark.parametrize(("first", "second"), [("core_data", "search"), ("555555555555", '"666666666666"')])
def test_the_executions_of_the_case_study_are_valid_as_printed(tmp_path: Path, first: str, second: str) -> None:
    text = EXECUTIONS_AS_PRINTED.replace("Account_A_ID", first).replace("Account_B_ID", second)
    expected = AllOf((Execution("core_data/listings"), Execution("search/searches")))
    found = trigger(tmp_path, text)
    assert found.condition == AllOf((expected, Arrived()))
    assert list(found.parents) == ["core_data/listings", "search/searches"]
    assert not found.reruns_on_update


@pytest.mark.parametrize(
    ("words", "cron", "zone"),
    [
        ("{hour: 3}", "0 3 * * *", "UTC"),
        ("{hour: 3, minute: 30, days: [mon, fri], time_zone: Europe/Berlin}", "30 3 * * mon,fri", "Europe/Berlin"),
        ("{hour: [15, 3]}", "0 3,15 * * *", "UTC"),
        ("{minute: 20}", "20 * * * *", "UTC"),
        ("{hour: 3, days: sun}", "0 3 * * sun", "UTC"),
        ('{cron: "0 3 1 * *", time_zone: Asia/Tokyo}', "0 3 1 * *", "Asia/Tokyo"),
        ('"0 3 1 * *"', "0 3 1 * *", "UTC"),
    ],
)
def test_a_schedule_is_a_time_or_a_cron_expression(tmp_path: Path, words: str, cron: str, zone: str) -> None:
    assert condition(tmp_path, f"trigger: {{schedule: {words}}}") == AllOf((Due(Schedule(cron, zone)), Arrived()))


def test_times_are_on_the_clocks_of_the_partitions_unless_they_say_so(tmp_path: Path) -> None:
    text = FILE.format(type=LAKE_PIPELINE, name="child").replace('"2026-01-01"', '"2026-01-01", time_zone: Asia/Tokyo')
    path = declare(tmp_path, "child")
    path.write_text(
        text + '  trigger: {schedule: {hour: 3}, not_before: "6:30", at_latest: {time: "09:00", timezone: UTC}}\n'
    )
    (found,) = read_all(path)
    built = build_trigger("flights", found.spec, pytest.fail)
    assert built is not None
    assert built.condition == AllOf((Due(Schedule("0 3 * * *", "Asia/Tokyo")), Arrived()))
    assert (built.not_before, built.at_latest) == (TimeOfDay(6, 30, "Asia/Tokyo"), TimeOfDay(9, 0, "UTC"))
    assert built.pipeline.calendar == Calendar("day", date(2026, 1, 1), None, "Asia/Tokyo")
    assert built.raw_asset == ("flights", "raw", "child")
    assert isinstance(found.spec, PipelineSpec)
    assert found.spec.partition_kind() == Daily(date(2026, 1, 1), timezone="Asia/Tokyo")
    partitions = build_partitions(found.spec.partitions)
    assert isinstance(partitions, dg.DailyPartitionsDefinition)
    assert partitions.timezone == "Asia/Tokyo"
    path.write_text(text + '  trigger: {arrivals: {at: "06:00"}}\n')
    (found,) = read_all(path)
    assert isinstance(found.spec, PipelineSpec)
    assert build_arrival_source("flights", found.spec).rules.conditions.at == DailyTime(time(6), "Asia/Tokyo")


def test_groups_nest_and_operators_join_them(tmp_path: Path) -> None:
    found = condition(
        tmp_path,
        """\
        trigger:
          operator: OR
          schedule: {hour: 5}
          executions:
            operator: OR
            allOf:
              - {name: a, partitions: {last: 7}}
              - anyOf:
                  - {name: b, status: [FAILED, TIMED_OUT]}
                  - {allOf: [{name: c, status: RUNNING}], anyOf: [{name: d, partitions: {offset: -1}}]}
            anyOf:
              - {name: e, account: 666666666666}
        """,
    )
    a = Execution("flights/a", span=Span(last=7))
    b = Execution("flights/b", frozenset({"FAILED", "TIMED_OUT"}))
    c = Execution("flights/c", frozenset({"RUNNING"}))
    d = Execution("flights/d", span=Span(offset=-1))
    e = Execution("search/e")
    inner = AllOf((AllOf((c,)), AnyOf((d,))))
    executions = AnyOf((AllOf((a, AnyOf((b, inner)))), AnyOf((e,))))
    assert found == AnyOf((Due(Schedule("0 5 * * *")), executions, Arrived()))


def test_written_arrivals_are_joined_as_the_operator_says(tmp_path: Path) -> None:
    text = "trigger: {{schedule: {{hour: 5}}, arrivals: {{settle: 5s}}, operator: {}}}"
    due = Due(Schedule("0 5 * * *"))
    assert condition(tmp_path, text.format("AND")) == AllOf((due, Arrived()))
    assert condition(tmp_path, text.format("OR")) == AnyOf((due, Arrived()))


def test_a_rerun_can_be_asked_for(tmp_path: Path) -> None:
    text = "trigger: {executions: {allOf: [{name: a}]}, rerun: on_parent_update}\nmax_concurrent_runs: 2"
    found = trigger(tmp_path, text)
    assert (found.reruns_on_update, found.max_concurrent_runs) == (True, 2)


def test_retries_time_limits_and_limits_of_runs_become_tags_of_the_job(tmp_path: Path) -> None:
    spec = read(tmp_path, "retries: 2\nmax_runtime: 2h\nmax_concurrent_runs: 1").spec
    assert spec.run_tags("flights") == {
        "datalake/pipeline": "flights/child",
        "datalake/owner": "team:shop",
        "dagster/max_retries": "2",
        "dagster/retry_on_asset_or_op_failure": "true",
        "dagster/max_runtime": "7200",
        "datalake/at_once_1": "flights/child",
    }
    assert set(read(tmp_path, "").spec.run_tags("flights")) == {"datalake/pipeline", "datalake/owner"}


def test_the_queue_knows_the_tags_that_limit_a_pipeline() -> None:
    from datalake_assets.components.words import run as run_words
    from datalake_assets.eventlog import run_queue

    assert (run_words.AT_ONCE_TAG, run_words.MOST_AT_ONCE) == (run_queue.AT_ONCE_TAG, run_queue.MAX_AT_ONCE)


def test_the_job_of_a_pipeline_has_its_tags(tmp_path: Path) -> None:
    from datalake_assets.components.lake_pipeline import build_pipeline_definitions

    spec = read(tmp_path, "retries: 2\nmax_runtime: 90").spec
    assert isinstance(spec, PipelineSpec)
    job = build_pipeline_definitions("flights", spec).resolve_job_def("child")
    assert spec.run_tags("flights").items() <= job.tags.items()


def test_a_pipeline_is_there_when_its_last_table_is(tmp_path: Path) -> None:
    lake, warehouse = ("flights", "lake", "child"), ("flights", "warehouse", "child")
    assert parent_of("flights", read(tmp_path, "").spec).asset == lake
    children = "children: [{table: items, from: x, columns: [{from: a, to: a, type: int}]}]\n"
    found = parent_of("flights", read(tmp_path, children).spec)
    assert (found.asset, set(found.assets)) == (lake, {lake, ("flights", "lake", "items")})
    found = parent_of("flights", read(tmp_path, "warehouse: {table: lake.child}").spec)
    assert found == Parent("flights/child", warehouse, Calendar("day", date(2026, 1, 1)), "child", (lake, warehouse))


def test_the_triggers_of_a_location_read_only_the_files_that_they_need(tmp_path: Path) -> None:
    declare(tmp_path, "child", "trigger: {executions: {allOf: [{name: a, account: core_data}, {name: own}]}}")
    declare(tmp_path, "own")
    declare(tmp_path, "a", location="core_data")
    declare(tmp_path, "broken", "colour: red", location="core_data")
    (found,) = triggers_of("flights", tmp_path)
    assert found.pipeline.name == "flights/child"
    assert found.parents["core_data/a"].asset == ("core_data", "lake", "a")
    assert found.parents["flights/own"].job == "own"


def test_a_location_whose_parent_does_not_exist_does_not_load(tmp_path: Path) -> None:
    path = declare(tmp_path, "child", "trigger: {executions: {allOf: [{name: a, account: core_data}]}}")
    with pytest.raises(ConfigurationError, match="flights/child waits for core_data/a, and there is no such") as caught:
        triggers_of("flights", tmp_path)
    assert caught.value.where == str(path)


EXECUTIONS = "trigger:\n  executions:\n    allOf:\n      - {}\n"


@pytest.mark.parametrize(
    ("words", "place", "expected"),
    [
        (EXECUTIONS.format("{name: a, status: [SUCCEEDED]}"), "11:30", "allowed: SUCCESS, FAILED, TIMED_OUT, ABORTED"),
        (EXECUTIONS.format("{name: a, status: [SUCESS]}"), "11:30", "did you mean 'SUCCESS'?"),
        (EXECUTIONS.format("{name: a, status: []}"), "11:29", "expected at least one status, found none"),
        (EXECUTIONS.format("{name: pipeline-x}"), "11:18", "did you mean 'pipeline_x'?"),
        (EXECUTIONS.format("{acount: x, name: a}"), "11:12", "did you mean 'account'?"),
        (EXECUTIONS.format("{account: core_data}"), "11:11", "allOf[0].name: this key is required and missing"),
        (EXECUTIONS.format("{name: a, account: 12345}"), "11:30", "twelve digits stands in quotes"),
        (EXECUTIONS.format("{name: a, partitions: {last: 0}}"), "11:40", "expected at least 1, found 0"),
        (EXECUTIONS.format("{allof: [{name: a}]}"), "11:12", "did you mean 'allOf'?"),
        (EXECUTIONS.format("{anyOf: []}"), "11:19", "expected at least one pipeline, found none"),
        (EXECUTIONS.format("{anyOf: [{name: a, stat: x}]}"), "11:30", "did you mean 'status'?"),
        (EXECUTIONS.format("a"), "11:11", "expected a mapping of keys to values"),
        ("trigger: {executions: {}}", "8:25", "needs allOf or anyOf"),
        ("trigger: {executions: {all_of: [{name: a}]}}", "8:26", "did you mean 'allOf'?"),
        ("trigger: {executions: {operator: OR, allOf: [{name: a}]}}", "8:36", "only one of them is here"),
        ("trigger: {executions: {operator: XOR, allOf: [{name: a}]}}", "8:36", "allowed: AND, OR"),
        ("trigger: {operator: OR, executions: {allOf: [{name: a}], anyOf: [{name: b}]}, arrivals: {}}", None, ""),
        ("trigger: {executions: {allOf: [{name: a}]}, schedule: {hour: 3}}", "8:12", "schedule and executions need"),
        ("trigger: {operator: AND}", "8:23", "operator stands between two of schedule, executions and arrivals"),
        ("trigger: {schedule: {hour: 24}}", "8:30", "expected 0 to 23"),
        ("trigger: {schedule: {hour: 3:30}}", "8:30", "`hour: 3, minute: 30`"),
        ("trigger: {schedule: {minute: 60, hour: 1}}", "8:32", "expected at most 59"),
        ("trigger: {schedule: {hour: 3, days: [monday]}}", "8:40", "allowed: mon, tue, wed"),
        ("trigger: {schedule: {hour: 3, days: [monday]}}", "8:40", "did you mean 'mon'?"),
        ("trigger: {schedule: {days: [mon]}}", "8:23", "needs an hour, a minute (of every hour) or a cron expression"),
        ("trigger: {schedule: {hour: []}}", "8:30", "expected at least one of them, found none"),
        ('trigger: {schedule: {cron: "0 3 * * ? *"}}', "8:30", "did you mean '0 3 * * *'?"),
        ('trigger: {schedule: {cron: "cron(0 3 * * ? *)"}}', "8:30", "did you mean '0 3 * * *'?"),
        ('trigger: {schedule: {cron: "0 0 31 2 *"}}', "8:30", "not a cron schedule"),
        ('trigger: {schedule: {cron: "0 3 * * *", hour: 3}}', "8:49", "hour stands in the cron expression already"),
        ("trigger: {schedule: {hour: 3, time_zone: Europe/Belin}}", "8:44", "did you mean 'Europe/Berlin'?"),
        ("trigger: {schedule: {hour: 3}, not_before: 6:30}", "8:46", 'a time stands in quotes, for example "06:30"'),
        (
            'trigger: {schedule: {hour: 3}, not_before: "09:00", at_latest: "06:00"}',
            "8:66",
            "at_latest 06:00 comes before not_before 09:00",
        ),
        ('trigger: {arrivals: {}, not_before: "09:00"}', "8:39", "arrivals have `at`"),
        ("trigger: {schedule: {hour: 3}, rerun: on_parent_update}", "8:41", "no other pipeline is named"),
        ('trigger: {schedule: {hour: 3}, arrivals: {}, operator: OR, at_latest: "06:00"}', "8:73", "waits for nothing"),
        ("trigger: {executions: }", "8:25", "expected a value, or the key left away, found nothing"),
        ("retries: -1", "8:12", "expected at least 0"),
        ("max_concurrent_runs: 21", "8:24", "expected at most 20"),
        ("max_runtime: 0", "8:16", "expected at least 1s"),
        ("max_runtime: long", "8:16", "for example 30s or 5m"),
    ],
)
def test_a_mistake_is_reported_where_it_was_typed(tmp_path: Path, words: str, place: str | None, expected: str) -> None:
    if place is None:
        assert read(tmp_path, words)
        return
    told = complaint(tmp_path, words)
    assert f"defs.yaml:{place}: " in told
    assert expected in told
