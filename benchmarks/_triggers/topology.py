"""700 daily pipelines in ten locations; a third waits for pipelines of other locations, in up to three steps."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FIRST_DAY = "2026-01-01"
SEED = 7
MAX_PARENTS = 3


@dataclass(frozen=True, order=True)
class Pipeline:
    """One pipeline, `location/name`."""

    location: str
    name: str

    def __str__(self) -> str:
        return f"{self.location}/{self.name}"


@dataclass(frozen=True)
class Topology:
    """Who waits for whom; pipelines without parents are started by their schedule."""

    parents: Mapping[Pipeline, Sequence[Pipeline]]

    @property
    def roots(self) -> list[Pipeline]:
        return [each for each, parents in self.parents.items() if not parents]

    @property
    def children(self) -> list[Pipeline]:
        return [each for each, parents in self.parents.items() if parents]

    @property
    def locations(self) -> list[str]:
        return sorted({each.location for each in self.parents})


def topology(locations: int = 10, pipelines: int = 70) -> Topology:
    """The same graph at each call: a third waits, half of that for pipelines that wait themselves."""
    chance = random.Random(SEED)
    levels: dict[int, list[Pipeline]] = {0: [], 1: [], 2: [], 3: []}
    for location in range(locations):
        for number in range(pipelines):
            levels[_level(number)].append(Pipeline(f"acct{location}", f"p{number:03d}"))
    parents: dict[Pipeline, list[Pipeline]] = {each: [] for each in levels[0]}
    for level in (1, 2, 3):
        for child in levels[level]:
            first = chance.choice([each for each in levels[level - 1] if each.location != child.location])
            others = [each for each in levels[0] if each.location != child.location and each != first]
            parents[child] = [first, *chance.sample(others, chance.randrange(MAX_PARENTS))]
    return Topology(parents)


def _level(number: int) -> int:
    if number % 3:
        return 0
    if number % 6 == 0:
        return 1
    return 2 if number % 12 == 3 else 3


def write_tree(found: Topology, folder: Path) -> dict[str, str]:
    """Write locations, registry and workspace; return the variables that lead to them."""
    locations = folder / "locations"
    for pipeline, parents in found.parents.items():
        place = locations / pipeline.location / pipeline.name
        place.mkdir(parents=True)
        (place.parent / "__init__.py").touch()
        (place / "defs.yaml").write_text(_declaration(pipeline, parents), encoding="utf-8")
    registry, workspace = folder / "registry.yaml", folder / "workspace.yaml"
    registry.write_text(_registry(found.locations), encoding="utf-8")
    entries = "".join(
        f"  - python_module: {{module_name: datalake_assets.definitions, attribute: {name}, location_name: {name}}}\n"
        for name in found.locations
    )
    workspace.write_text(f"load_from:\n{entries}", encoding="utf-8")
    return {
        "DATALAKE_LOCATIONS": str(locations),
        "DATALAKE_REGISTRY": str(registry),
        "DATALAKE_WORKSPACE": str(workspace),
    }


def _declaration(pipeline: Pipeline, parents: Sequence[Pipeline]) -> str:
    if parents:
        waits = "".join(f"          - {{name: {each.name}, account: {each.location}}}\n" for each in parents)
        trigger = f"    executions:\n        allOf:\n{waits}"
    else:
        trigger = '    schedule: {cron: "59 23 31 12 *"}\n'  # none is due while it is measured
    return (
        "type: datalake_assets.components.StepsPipeline\n"
        "attributes:\n"
        f"  name: {pipeline.name}\n"
        "  owner: team:benchmark\n"
        f'  partitions: {{daily: "{FIRST_DAY}"}}\n'
        f"  trigger:\n{trigger}"
        '  steps:\n    - {name: work, shell: "true"}\n'
    )


def _registry(locations: Sequence[str]) -> str:
    lines = ['platform:\n  id: "100000000000"\n  region: eu-central-1\n  alerts_secret: datalake/alerts\naccounts:\n']
    for number, name in enumerate(locations, start=1):
        account = f"{200_000_000_000 + number}"
        lines.append(
            f'  {name}:\n    id: "{account}"\n    role: arn:aws:iam::{account}:role/datalake-location\n'
            f"    regions: [eu-central-1]\n    raw_bucket: datalake-{name}-raw\n    lake_bucket: datalake-{name}-lake\n"
            f"    arrivals_queue: datalake-{name}-arrivals\n    glue_database: {name}_lake\n"
            "    warehouse_secret: datalake/warehouse\n"
        )
    return "".join(lines)
