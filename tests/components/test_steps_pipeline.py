"""A declared pipeline of steps: its words, its mistakes, its graph."""

from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datalake_assets.components.declarations import read_all
from datalake_assets.components.steps_pipeline import build_steps_definitions, has_branches
from datalake_assets.components.words.steps_spec import StepsSpec, find_cycle
from datalake_assets.errors import ConfigurationError
from datalake_assets.steps.model import Python, SecretValue, Shell, Spark, Sql, Step
from tests.steps.world import write_pipeline

FILES = {
    "count": """
from elsewhere import imported
def count_rows(partition, context): ...
def wants_more(partition, bucket): ...
async def awaits(): ...
def optional(bucket="b", *rest, **more): ...
if True:
    def sometimes(): ...
""",
    "broken": "def f(:\n",
    "clean": "def clean(spark, partition): ...\n",
}


def declared(folder: Path, steps: str, *, more: str = "") -> StepsSpec:
    path = write_pipeline(folder, "backup", steps, more=more, **FILES)
    (path / "load.sql").write_text("SELECT 1;", encoding="utf-8")
    (found,) = read_all(path)
    assert isinstance(found.spec, StepsSpec)
    return found.spec


def test_steps_run_in_their_order_unless_they_say_what_they_need(tmp_path: Path) -> None:
    spec = declared(
        tmp_path,
        """
    - {name: a, shell: "true"}
    - {name: b, python: "count.py:count_rows"}
    - {name: c, sql: load.sql, needs: a}
    - {name: d, sql: "DELETE FROM lake.x", needs: []}
    - {name: e, spark: clean.py}
    - {name: f, dbt: [stg_flights, "tag:daily"], needs: [a, c, a]}
""",
    )
    assert {step.name: step.needs for step in spec.plan()} == {
        "a": (),
        "b": ("a",),
        "c": ("a",),
        "d": (),
        "e": ("d",),
        "f": ("a", "c"),
    }
    assert [step.work for step in spec.plan()][:5] == [
        Shell("true"),
        Python("count.py", "count_rows"),
        Sql(file="load.sql"),
        Sql("DELETE FROM lake.x"),
        Spark("clean.py"),
    ]


def test_the_words_of_a_step_reach_it(tmp_path: Path) -> None:
    words = "retries: 2, retry_after: 1m, timeout: 2h, env: {A: b, N: 3, T: {secret: api, key: token}}"
    (step,) = declared(tmp_path, f'    - {{name: a, shell: "true", {words}}}\n').plan()
    assert (step.retries, step.retry_after_seconds, step.timeout_seconds) == (2, 60, 7200)
    assert step.environment == {"A": "b", "N": "3", "T": SecretValue("api", "token")}


@pytest.mark.parametrize(
    ("steps", "place", "said"),
    [
        ("- {name: a}", "steps[0]", "exactly one of shell, python, sql, dbt, spark; found none of them"),
        ("- {name: a, shell: x, sql: y}", "steps[0]", "found shell and sql"),
        ("- {name: a, shel: x}", "steps[0].shel", "did you mean 'shell'?"),
        ("- {name: a, shell: ''}", "steps[0].shell", "the text is empty"),
        ('- {name: a, shell: "a\\0b"}', "steps[0].shell", "NUL"),
        ("- {name: A, shell: x}", "steps[0].name", "lower-case"),
        ("- {name: a__b, shell: x}", "steps[0].name", "single underscores"),
        ("- {name: _a, shell: x}", "steps[0].name", "single underscores"),
        ("- {name: a, shell: x}\n    - {name: a, shell: y}", "steps[1].name", "the name of step 1 already"),
        ("- {name: a, shell: x}\n    - {name: b, shell: y, needs: aa}", "steps[1].needs", "did you mean 'a'?"),
        ("- {name: a, shell: x, needs: a}", "steps[0].needs", "the step waits for itself: a → a"),
        (
            "- {name: a, shell: x, needs: c}\n    - {name: b, shell: y}\n    - {name: c, shell: z}",
            "steps[0].needs",
            "wait for each other: a → c → b → a",
        ),
        ("- {name: a, python: count.py}", "steps[0].python", "as in count.py:count_rows"),
        ("- {name: a, python: ../count.py:f}", "steps[0].python", "no file beside the declaration"),
        ("- {name: a, python: /etc/count.py:f}", "steps[0].python", "no file beside the declaration"),
        ("- {name: a, python: cuont.py:f}", "steps[0].python", "no file 'cuont.py' beside the defs.yaml; did you mean"),
        ("- {name: a, python: count.py:count_row}", "steps[0].python", "did you mean 'count_rows'?"),
        ("- {name: a, python: count.py:wants_more}", "steps[0].python", "wants 'bucket', which nobody gives it"),
        ("- {name: a, python: count.py:awaits}", "steps[0].python", "nobody awaits"),
        ("- {name: a, python: broken.py:f}", "steps[0].python", "broken.py, line 1: this is not Python"),
        ("- {name: a, python: clean.py:clean}", "steps[0].python", "wants 'spark'"),
        ("- {name: a, sql: lod.sql}", "steps[0].sql", "did you mean 'load.sql'?"),
        ("- {name: a, sql: 'select 1', env: {A: b}}", "steps[0].env", "statements see no environment"),
        ("- {name: a, dbt: [--vars]}", "steps[0].dbt[0]", "not a selector"),
        ("- {name: a, dbt: []}", "steps[0].dbt", "at least 1"),
        ("- {name: a, shell: x, retries: -1}", "steps[0].retries", "at least 0"),
        ("- {name: a, shell: x, timeout: soon}", "steps[0].timeout", "not a duration"),
        ("- {name: a, shell: x, timeout: 0}", "steps[0].timeout", "at least 1s"),
        ("- {name: a, shell: x, env: {A: yes}}", "steps[0].env.A", "put it in quotes"),
        ("- {name: a, shell: x, env: {A: 1.10}}", "steps[0].env.A", "put it in quotes"),
        ("- {name: a, shell: x, env: {A-B: c}}", "steps[0].env", "not the name of a variable"),
        ("- {name: a, shell: x, env: {DATALAKE_RUN_ID: c}}", "steps[0].env", "belong to the platform"),
        ("- {name: a, shell: x, env: {A: {secrt: c}}}", "steps[0].env.A", "secret"),
        ("[]", "steps", "at least 1"),
    ],
)
def test_a_mistake_is_reported_where_it_was_typed(tmp_path: Path, steps: str, place: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        declared(tmp_path, f"    {steps}\n")
    assert said in str(caught.value)
    assert f"attributes.{place}" in str(caught.value)


@pytest.mark.parametrize("function", ["count_rows", "imported", "sometimes", "optional"])
def test_a_function_is_found_however_the_file_makes_it(tmp_path: Path, function: str) -> None:
    assert declared(tmp_path, f"    - {{name: a, python: 'count.py:{function}'}}\n")


@given(st.dictionaries(st.integers(0, 6), st.lists(st.integers(0, 6), max_size=3)))
def test_a_cycle_is_found_if_there_is_one(numbers: dict[int, list[int]]) -> None:
    needs = {str(name): [str(each) for each in numbers.get(name, [])] for name in range(7)}
    chain = find_cycle(needs)
    if chain:
        assert chain[0] == chain[-1]
        assert all(following in needs[name] for name, following in pairwise(chain))
        return
    done: set[str] = set()
    while ready := {name for name in needs if name not in done and set(needs[name]) <= done}:
        done |= ready
    assert done == set(needs)


@given(st.lists(st.lists(st.integers(0, 5), max_size=3), min_size=1, max_size=6))
def test_branches_are_two_steps_without_an_order(earlier: list[list[int]]) -> None:
    steps = [
        Step(str(at), Shell("x"), needs=tuple({str(need) for need in needs if need < at}))
        for at, needs in enumerate(earlier)
    ]
    before: dict[str, set[str]] = {}
    for step in steps:
        before[step.name] = set(step.needs).union(*(before[need] for need in step.needs))
    free = [(a, b) for a in before for b in before if a < b and a not in before[b] and b not in before[a]]
    assert has_branches(steps) == bool(free)


PARENT = "    - {name: a, shell: 'true'}\n"
EXECUTIONS = """  trigger:
    executions:
      allOf:
        - {name: hourly}
        - {name: weekly, partitions: {last: 7}}
        - {name: yesterday, partitions: {offset: -1}}
        - {name: backup, partitions: {offset: -1}}
"""


def test_the_pipelines_that_it_waits_for_are_its_lineage(tmp_path: Path) -> None:
    daily = '  partitions: {daily: "2026-01-01"}\n'
    write_pipeline(tmp_path, "hourly", PARENT, more='  partitions: {hourly: "2026-01-01"}\n')
    write_pipeline(tmp_path, "weekly", PARENT, more=daily)
    write_pipeline(tmp_path, "yesterday", PARENT, more=daily)
    spec = declared(tmp_path, "    - {name: x, shell: 'true'}\n", more=daily + EXECUTIONS)
    folder = tmp_path / "content" / "backup"
    key = dg.AssetKey(["content", "steps", "backup"])
    definitions = build_steps_definitions("content", spec, folder=folder)
    asset = definitions.resolve_asset_graph().get(key)
    parents = {parent.path[-1] for parent in asset.parent_keys}
    assert parents == {"hourly", "weekly", "yesterday"}
    mapping = asset.partition_mappings[dg.AssetKey(["content", "steps", "weekly"])]
    needed = mapping.get_upstream_mapped_partitions_result_for_partitions(
        asset.partitions_def.subset_with_partition_keys(["2026-01-10"]) if asset.partitions_def else None,
        asset.partitions_def,
        asset.partitions_def,
    )
    days = sorted(needed.partitions_subset.get_partition_keys())
    assert (days[0], days[-1], len(days)) == ("2026-01-04", "2026-01-10", 7)


def test_hours_are_partitions_on_the_clocks_of_a_place(tmp_path: Path) -> None:
    more = '  partitions: {hourly: "2026-10-25", end: "2026-10-26", time_zone: Europe/Berlin}\n'
    spec = declared(tmp_path, PARENT, more=more)
    definitions = build_steps_definitions("content", spec, folder=tmp_path / "content" / "backup")
    asset = definitions.resolve_asset_graph().get(dg.AssetKey(["content", "steps", "backup"]))
    assert asset.partitions_def is not None
    keys = asset.partitions_def.get_partition_keys()
    assert len(keys) == 25
    windows = [spec.calendar().window(key) for key in keys]
    assert all(one[1] == other[0] for one, other in pairwise(windows))


def test_names_of_steps_of_two_pipelines_do_not_meet(tmp_path: Path) -> None:
    definitions = []
    for pipeline, step in (("a_", "b"), ("a", "b"), ("a__b", "b"), ("a_b", "b")):
        folder = write_pipeline(tmp_path, pipeline, f"    - {{name: {step}, shell: 'true'}}\n")
        (found,) = read_all(folder)
        assert isinstance(found.spec, StepsSpec)
        definitions.append(build_steps_definitions("content", found.spec, folder=folder))
    dg.Definitions.validate_loadable(dg.Definitions.merge(*definitions))
