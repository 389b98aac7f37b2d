"""The case study's pipelines as declarations of a test, and files as a test says they are."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.components.declarations import AnyDeclaration, Declaration, read_all
from datalake_assets.components.overview.arrivals import WaitTold
from datalake_assets.components.triggering import parent_of
from datalake_assets.triggers.model import FilesState, Parent

if TYPE_CHECKING:
    import dagster as dg

LAKE = """
type: datalake_assets.components.LakePipeline
attributes:
  name: {name}
  owner: team:{location}
  source: {{s3: "{name}/dt={{partition}}/*.csv", format: csv}}
  partitions: {{daily: "2026-01-01"}}
  trigger: {trigger}
  columns: [{{from: a, to: a, type: int}}]
"""
SQL = """
type: datalake_assets.components.SqlPipeline
attributes:
  name: {name}
  owner: team:{location}
  reads: [{reads}]
  sql: "SELECT a, dt AS day FROM {table}"
  partitions: {{daily: "2026-01-01"}}
  {trigger}
  columns: [{{name: a, type: int}}, {{name: day, type: date}}]
"""
BOTH = "trigger: {executions: {allOf: [{name: listings, account: core_data}, {name: searches, account: search}]}}"
FALLBACK = "trigger: {executions: {allOf: [{name: listings, account: core_data, status: [FAILED]}]}}"


def case_study(folder: Path) -> Path:
    """`listings` at 03:00, `searches` at 05:00, `pipeline_x` after both, `fallback` when listings failed, and `late`.

    `report` waits for pipeline_x and has no words of its own; `uploads` runs when its files arrive.
    """
    lake(folder, "core_data/listings", "{schedule: {hour: 3}, arrivals: {settle: 2s}, operator: AND}")
    lake(folder, "search/searches", "{schedule: {hour: 5}, arrivals: {settle: 2s}, operator: AND}")
    lake(folder, "search/uploads", "{arrivals: {settle: 2s}}")
    query(folder, "rent_journey/pipeline_x", "core_data/listings, search/searches", BOTH)
    query(folder, "rent_journey/fallback", "search/searches", FALLBACK)
    query(folder, "rent_journey/report", "rent_journey/pipeline_x")
    return folder


def lake(folder: Path, pipeline: str, trigger: str) -> None:
    location, _, name = pipeline.partition("/")
    _write(folder, pipeline, LAKE.format(location=location, name=name, trigger=trigger))


def query(folder: Path, pipeline: str, reads: str, trigger: str = "") -> None:
    location, _, name = pipeline.partition("/")
    table = reads.partition(",")[0].replace("/", ".")
    _write(folder, pipeline, SQL.format(location=location, name=name, reads=reads, table=table, trigger=trigger))


def parents(folder: Path) -> dict[str, Parent]:
    """All pipelines as the world of the triggers' tests knows them."""
    return {each.name: parent_of(each.location, each.spec) for each in read_all(folder)}


class Files:
    """Raw files as a test says they are; all are there unless it does."""

    def __init__(self) -> None:
        self.missing: set[tuple[str, str]] = set()
        self.waits: dict[str, WaitTold] = {}

    def states(
        self, pipelines: Mapping[str, AnyDeclaration], wanted: Collection[tuple[str, str]]
    ) -> dict[tuple[str, str], FilesState]:
        return {
            each: FilesState(7, is_ready=True)
            for each in wanted
            if each not in self.missing and isinstance(pipelines[each[0]], Declaration)
        }

    def waiting(self, _instance: "dg.DagsterInstance", declared: Sequence[AnyDeclaration]) -> dict[str, WaitTold]:
        return {each.name: self.waits[each.name] for each in declared if each.name in self.waits}

    def explained(self, _instance: "dg.DagsterInstance", declared: Declaration, partition: str) -> tuple[bool, str]:
        if (declared.name, partition) in self.missing:
            return True, "nothing of it has arrived"
        return False, "its last change is published, there is nothing to do"


def _write(folder: Path, pipeline: str, text: str) -> None:
    path = folder / pipeline / "defs.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
