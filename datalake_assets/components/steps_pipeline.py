"""`StepsPipeline`: a list of steps as one graph asset, each step its own op with its log, time, retries and status.

A run that failed is resumed after the last step that succeeded, by Dagster's own re-execution from failure. Steps hand
each other nothing through Dagster: what one makes for the next lies where both find it, in the lake, the warehouse or
a bucket, also when the next one runs on another day and another machine.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.dependency import IDependencyDefinition

from datalake_assets.accounts.registry import registry
from datalake_assets.components.declarations import find_declaration
from datalake_assets.components.declared_component import DeclaredComponent
from datalake_assets.components.partitions import build_partition_mapping, build_partitions
from datalake_assets.components.table_assets import build_job
from datalake_assets.components.triggering import parent_of, waits_for
from datalake_assets.components.words.steps_spec import StepsSpec
from datalake_assets.errors import ConfigurationError
from datalake_assets.names import identifier
from datalake_assets.steps.model import Step
from datalake_assets.triggers.model import Span

MOST_AT_ONCE = 4  # steps of one run; each is a process of its own beside its program
_PRELOADED = (
    "datalake_assets.components.step_running",
    "datalake_assets.components.steps_pipeline",
    "dagster.components.core.component_tree",
)
END = "_end"  # of a pipeline that ends with several steps: names of steps start with a letter
_RESULT = "result"


class StepsPipeline(DeclaredComponent[StepsSpec]):
    """Programs, functions and statements, in order or by what they need; the words are those of `StepsSpec`."""

    model = StepsSpec

    def definitions(self, location: str, folder: Path) -> dg.Definitions:
        return build_steps_definitions(location, self.spec, folder=folder)


def steps_key(location: str, name: str) -> dg.AssetKey:
    """The asset of a StepsPipeline: materialized when all its steps have succeeded."""
    return dg.AssetKey([identifier(location, what="location"), "steps", identifier(name)])


def build_steps_definitions(location: str, spec: StepsSpec, *, folder: Path) -> dg.Definitions:
    """The asset and the job of a pipeline of steps.

    Args:
        folder: where the defs.yaml and the files are that it names.

    Raises:
        ConfigurationError: the location is not in the account registry, or a parent is not there.
    """
    registry().account(location)
    steps = spec.plan()
    partitions = build_partitions(spec.partitions)
    parents = _parents(location, spec, folder.parent.parent)
    graph = _build_graph(location, spec, steps, [f"parent_{at}" for at in range(len(parents))], folder)
    mappings = {
        f"parent_{at}": mapping
        for at, span in enumerate(parents.values())
        if partitions is not None and (mapping := build_partition_mapping(span)) is not None
    }
    key = steps_key(location, spec.name)
    asset = dg.AssetsDefinition.from_graph(
        graph,
        keys_by_input_name={f"parent_{at}": parent for at, parent in enumerate(parents)},
        keys_by_output_name={_RESULT: key},
        partitions_def=partitions,
        partition_mappings=mappings or None,
        group_name=spec.name,
        descriptions_by_output_name={_RESULT: spec.description or _told(steps)},
        owners_by_output_name={_RESULT: [spec.owner]},
        tags_by_output_name={_RESULT: {f"dagster/kind/{kind}": "" for kind in sorted({step.kind for step in steps})}},
        metadata_by_output_name={_RESULT: {"steps": [step.name for step in steps]}},
    )
    job = build_job(location, spec, [key], executor_def=build_executor(steps))
    return dg.Definitions(assets=[asset], jobs=[job])


def build_executor(steps: Sequence[Step]) -> dg.ExecutorDefinition:
    """Steps one after the other in the run's own process, unless some can go side by side: then each in its own.

    A process for each step costs the start of Dagster and of the location, seconds that a chain would only lose.
    """
    if not has_branches(steps):
        return dg.in_process_executor
    return dg.multiprocess_executor.configured(
        {
            "max_concurrent": MOST_AT_ONCE,
            # Forked from one process that has imported what all of them need.
            "start_method": {"forkserver": {"preload_modules": list(_PRELOADED)}},
        },
        name="steps_side_by_side",
    )


def has_branches(steps: Sequence[Step]) -> bool:
    """Whether two of the steps could run at the same time."""
    before: dict[str, set[str]] = {}

    def all_before(name: str) -> set[str]:
        if name not in before:
            needs = next(step.needs for step in steps if step.name == name)
            before[name] = set(needs).union(*(all_before(need) for need in needs))
        return before[name]

    counts = sorted(len(all_before(step.name)) for step in steps)
    # In a chain the first has none before it, the second one, and so on; anything else leaves two without an order.
    return counts != list(range(len(steps)))


def _build_graph(
    location: str, spec: StepsSpec, steps: Sequence[Step], parents: Sequence[str], folder: Path
) -> dg.GraphDefinition:
    ops: list[dg.OpDefinition] = []
    dependencies: dict[dg.NodeInvocation, dict[str, IDependencyDefinition]] = {}
    starts: list[str] = []
    for step in steps:
        op = _build_op(location, spec, step, [] if step.needs else parents, folder)
        ops.append(op)
        dependencies[dg.NodeInvocation(op.name, alias=step.name)] = _after(step.needs)
        if not step.needs:
            starts.append(step.name)
    needed = {need for step in steps for need in step.needs}
    last = [step.name for step in steps if step.name not in needed]
    if len(last) > 1:
        end = _build_end(spec, last)
        ops.append(end)
        dependencies[dg.NodeInvocation(end.name, alias=END)] = _after(last)
        last = [END]
    return dg.GraphDefinition(
        name=f"steps_{spec.name}",
        description=spec.description,
        node_defs=ops,
        dependencies=dependencies,
        input_mappings=[
            dg.InputMapping(graph_input_name=parent, mapped_node_name=start, mapped_node_input_name=parent)
            for parent in parents
            for start in starts
        ],
        output_mappings=[
            dg.OutputMapping(graph_output_name=_RESULT, mapped_node_name=last[0], mapped_node_output_name=_RESULT)
        ],
    )


def _after(names: Sequence[str]) -> dict[str, IDependencyDefinition]:
    return {f"after_{name}": dg.DependencyDefinition(name, _RESULT) for name in names}


def _build_op(location: str, spec: StepsSpec, step: Step, parents: Sequence[str], folder: Path) -> dg.OpDefinition:
    pipeline, calendar = spec.name, spec.calendar()

    @dg.op(
        name=f"step_{pipeline}__{step.name}",  # no graph is called so
        description=step.description or _first_line(step),
        ins={name: dg.In(dg.Nothing) for name in (*(f"after_{need}" for need in step.needs), *parents)},
        out={_RESULT: dg.Out(dg.Nothing)},
        retry_policy=dg.RetryPolicy(
            max_retries=step.retries,
            delay=step.retry_after_seconds,
            backoff=dg.Backoff.EXPONENTIAL,
            jitter=dg.Jitter.PLUS_MINUS,
        )
        if step.retries
        else None,
        tags={"datalake/owner": spec.owner, "dagster/compute_kind": step.kind},
    )
    def run(context: dg.OpExecutionContext) -> None:
        from datalake_assets.components.step_running import run_attempt

        run_attempt(context, location, pipeline, step, calendar, folder)

    return run


def _build_end(spec: StepsSpec, last: Sequence[str]) -> dg.OpDefinition:
    @dg.op(
        name=f"step_{spec.name}__{END}",
        description="All steps have succeeded.",
        ins={f"after_{name}": dg.In(dg.Nothing) for name in last},
        out={_RESULT: dg.Out(dg.Nothing)},
        tags={"datalake/owner": spec.owner},
    )
    def end(context: dg.OpExecutionContext) -> None:
        context.log.info(f"{', '.join(last)} have succeeded")

    return end


def _parents(location: str, spec: StepsSpec, locations: Path) -> Mapping[dg.AssetKey, Span]:
    """The assets of the pipelines that it waits for, and which of their partitions."""
    found: dict[dg.AssetKey, Span] = {}
    for needed in waits_for(location, spec):
        if needed.pipeline != f"{location}/{spec.name}":
            found.setdefault(_completion_asset(needed.pipeline, locations), needed.span)
    return found


def _completion_asset(pipeline: str, locations: Path) -> dg.AssetKey:
    if declaration := find_declaration(pipeline, locations):
        return dg.AssetKey(parent_of(declaration.location, declaration.spec).asset)
    raise ConfigurationError(
        f"there is no pipeline {pipeline!r}",
        where="trigger.executions",
        todo="`datalake validate` lists all that is wrong, with the nearest names",
    )


def _told(steps: Sequence[Step]) -> str:
    lines = [f"- `{step.name}` ({step.kind}): {step.description or _first_line(step)}" for step in steps]
    return "\n".join(["All of these steps have succeeded:", "", *lines])


def _first_line(step: Step) -> str:
    work: Any = step.work
    if hasattr(work, "select"):
        return f"dbt build {' '.join(work.select)}"
    text = work.text.strip() if getattr(work, "text", "") else f"{work.file}:{getattr(work, 'function', None) or ''}"
    line = next(iter(text.rstrip(":").splitlines()), "")
    return line if len(line) <= 100 else f"{line[:100]} …"
