"""What the demo waits for, how far it is, and how that is shown."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from datalake_assets.arrivals.sources import partition_of
from datalake_assets.cli.history import History
from datalake_assets.components.declarations import read_declarations
from datalake_assets.components.lake_pipeline import build_pipeline
from datalake_assets.project import DBT_PROJECT, LOCATIONS_FOLDER

if TYPE_CHECKING:
    from rich.console import Console


SECONDS_BETWEEN_LINES = 5.0


@dataclass(frozen=True)
class WatchedTable:
    """One pipeline, the files landed for it and the partitions that they belong to."""

    lake_key: list[str]
    warehouse_key: list[str]
    warehouse_table: str
    files: int
    partitions: int


@dataclass
class Watch:
    """All that must be built, compared with Dagster's history."""

    tables: list[WatchedTable]
    models: list[list[str]]
    landed_at: float
    history: History = field(init=False)
    counts: dict[str, tuple[int, float]] = field(default_factory=dict)

    def refresh(self) -> None:
        """Ask the history once for everything."""
        keys = [key for table in self.tables for key in (table.lake_key, table.warehouse_key)] + self.models
        self.counts = self.history.built_counts(keys)

    def progress(self) -> list[tuple[str, int, int]]:
        """Stage, done, wanted."""
        loaded_at = max((self._at(table.warehouse_key) for table in self.tables), default=0.0)
        return [
            ("lake partitions", sum(self._number(t.lake_key) for t in self.tables), self._wanted),
            ("warehouse partitions", sum(self._number(t.warehouse_key) for t in self.tables), self._wanted),
            # A model counts when it was built from the last of the data.
            ("dbt models", sum(self._at(key) >= loaded_at > 0 for key in self.models), len(self.models)),
        ]

    def is_done(self) -> bool:
        """Whether everything is built and no run is left to do."""
        self.refresh()
        return all(done >= wanted for _, done, wanted in self.progress()) and all(
            record.dagster_run.is_finished for record in self.history.runs()
        )

    def missing(self) -> list[str]:
        """What is not built yet, for a message."""
        found = [
            "/".join(key)
            for table in self.tables
            for key in (table.lake_key, table.warehouse_key)
            if self._number(key) < table.partitions
        ]
        return found + ["/".join(key) for key in self.models if not self._at(key)]

    def stage_seconds(self) -> dict[str, float]:
        """Seconds from the landing of the files to the end of each stage, split where the next one ends."""
        runs = self.history.runs()
        first_run = min((record.create_timestamp.timestamp() for record in runs), default=self.landed_at)
        lake = max(self._at(table.lake_key) for table in self.tables)
        warehouse = max(self._at(table.warehouse_key) for table in self.tables)
        models = max(self._at(key) for key in self.models)
        return {
            "notice": round(first_run - self.landed_at, 1),
            "lake": round(lake - first_run, 1),
            "warehouse": round(warehouse - first_run, 1),
            "dbt": round(models - warehouse, 1),
        }

    @property
    def _wanted(self) -> int:
        return sum(table.partitions for table in self.tables)

    def _number(self, key: Sequence[str]) -> int:
        return self.counts.get("/".join(key), (0, 0.0))[0]

    def _at(self, key: Sequence[str]) -> float:
        return self.counts.get("/".join(key), (0, 0.0))[1]


def build_watch(location: str, landed_keys: Sequence[str]) -> Watch:
    """Work out from the declared pipelines and the landed keys what there will be."""
    tables = []
    for declaration in read_declarations(LOCATIONS_FOLDER / location):
        pipeline = build_pipeline(location, declaration.spec)
        matched = [
            partition
            for key in landed_keys
            if (partition := partition_of(key, pipeline.patterns, pipeline.marker)) is not None
        ]
        if matched and declaration.spec.warehouse:
            tables.append(
                WatchedTable(
                    lake_key=pipeline.lake_key,
                    warehouse_key=pipeline.warehouse_asset_key,
                    warehouse_table=declaration.spec.warehouse.table,
                    files=len(matched),
                    partitions=len(Counter(matched)),
                )
            )
    return Watch(tables, _model_keys(), time.time())


def _model_keys() -> list[list[str]]:
    from datalake_assets.components.dbt_manifest import manifest_path

    nodes = json.loads(manifest_path(DBT_PROJECT).read_text(encoding="utf-8"))["nodes"].values()
    return [["analytics", node["schema"], node["name"]] for node in nodes if node["resource_type"] == "model"]


@contextmanager
def shown_progress(console: "Console", watch: Watch) -> Iterator[Callable[[], None]]:
    """Show the stages: bars on a terminal, a line every few seconds elsewhere."""
    if not console.is_terminal:
        shown: list[str] = []
        due = time.monotonic()

        def print_changes() -> None:
            nonlocal due
            line = "  ".join(f"{name} {done}/{wanted}" for name, done, wanted in watch.progress())
            if line not in shown[-1:] and time.monotonic() >= due:
                shown.append(line)
                due = time.monotonic() + SECONDS_BETWEEN_LINES
                console.print(line)

        yield print_changes
        due = 0.0
        print_changes()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:22}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        tasks = {name: bars.add_task(name, total=wanted) for name, _, wanted in watch.progress()}

        def move_bars() -> None:
            for name, done, _ in watch.progress():
                bars.update(tasks[name], completed=done)

        yield move_bars
