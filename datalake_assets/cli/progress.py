"""What the demo waits for, how far it is, and how that is shown."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from datalake_assets.cli.history import History

if TYPE_CHECKING:
    from rich.console import Console


SECONDS_BETWEEN_LINES = 5.0


@dataclass(frozen=True)
class WatchedTable:
    """One pipeline, the files landed for it and the partitions that there will be; without a warehouse table, None."""

    lake_key: list[str]
    warehouse_key: list[str] | None
    warehouse_table: str | None
    files: int
    partitions: int

    @property
    def location(self) -> str:
        return self.lake_key[0]

    @property
    def keys(self) -> list[list[str]]:
        """Its assets."""
        return [self.lake_key, *([self.warehouse_key] if self.warehouse_key else [])]


@dataclass
class Watch:
    """All that must be built, compared with Dagster's history.

    Args:
        models: asset keys of the dbt models.
        landed_at: when the files had landed, in seconds of the epoch.
        reads: a model's key, joined with `/`, and the warehouse tables that it is made of.
    """

    tables: list[WatchedTable]
    models: list[list[str]]
    landed_at: float
    reads: Mapping[str, Collection[str]] = field(default_factory=dict)
    history: History = field(init=False)
    counts: dict[str, tuple[int, float]] = field(default_factory=dict)

    def refresh(self) -> None:
        """Ask the history once for everything."""
        keys = [key for table in self.tables for key in table.keys] + self.models
        self.counts = self.history.built_counts(keys)

    def progress(self) -> list[tuple[str, int, int]]:
        """Stage, done, wanted."""
        loaded = [table for table in self.tables if table.warehouse_key]
        return [
            ("lake partitions", sum(self._number(t.lake_key) for t in self.tables), _partitions(self.tables)),
            ("warehouse partitions", sum(self._number(t.warehouse_key) for t in loaded), _partitions(loaded)),
            # A model counts when it was built from the last of its data.
            ("dbt models", sum(self._at(key) >= self._loaded_at(key) > 0 for key in self.models), len(self.models)),
        ]

    def is_done(self) -> bool:
        """Whether everything is built and no run is left to do."""
        self.refresh()
        return all(done >= wanted for _, done, wanted in self.progress()) and all(
            record.dagster_run.is_finished for record in self.history.runs()
        )

    def missing(self) -> list[str]:
        """What is not built yet, for a message."""
        found = ["/".join(key) for t in self.tables for key in t.keys if self._number(key) < t.partitions]
        return found + ["/".join(key) for key in self.models if not self._at(key)]

    def stage_seconds(self, location: str) -> dict[str, float]:
        """Seconds from the landing of a location's files to the end of each stage, split where the next one ends."""
        tables = [table for table in self.tables if table.location == location]
        own = {"/".join(table.warehouse_key) for table in tables if table.warehouse_key}
        first_run = min((record.create_timestamp.timestamp() for record in self.history.runs()), default=self.landed_at)
        lake = max(self._at(table.lake_key) for table in tables)
        warehouse = max(self._at(table.warehouse_key) for table in tables)
        models = max(self._at(key) for key in self.models if own & set(self.reads.get("/".join(key), own)))
        return {
            "notice": round(first_run - self.landed_at, 1),
            "lake": round(lake - first_run, 1),
            "warehouse": round(warehouse - first_run, 1),
            "dbt": round(models - warehouse, 1),
        }

    def seconds_until(self, location: str) -> float:
        """Seconds from the landing of the files until the last table of a location was built."""
        at = [self._at(key) for table in self.tables if table.location == location for key in table.keys]
        return round(max(at) - self.landed_at, 1)

    def _loaded_at(self, model: Sequence[str]) -> float:
        """When the last of what a model is made of was loaded."""
        keys = ["/".join(table.warehouse_key) for table in self.tables if table.warehouse_key]
        read = self.reads.get("/".join(model), keys)
        return max((self.counts.get(key, (0, 0.0))[1] for key in keys if key in read), default=0.0)

    def _number(self, key: Sequence[str] | None) -> int:
        return self.counts.get("/".join(key or ()), (0, 0.0))[0]

    def _at(self, key: Sequence[str] | None) -> float:
        return self.counts.get("/".join(key or ()), (0, 0.0))[1]


def _partitions(tables: Sequence[WatchedTable]) -> int:
    return sum(table.partitions for table in tables)


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
