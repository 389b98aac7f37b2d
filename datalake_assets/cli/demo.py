"""`datalake demo`: land real files, then wait and watch; everything after that happens by itself.

The sensor notices the files, runs publish and load them, and the dbt models build on top: through the real daemon, on
a fresh sandbox of its own. Beside it two accounts get made-up listings and searches, and a third account's metric
follows from both (`case_study`). The exit status is 0 only if all of it was built.
"""

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from datalake_assets.cli.case_study import (
    PIPELINE,
    CaseStudy,
    answer_table,
    collect_case_study,
    land_case_study,
    partitions,
    show_case_study,
)
from datalake_assets.errors import PermanentError
from datalake_assets.names import qualified, quoted
from datalake_assets.project import PROJECT_ROOT

if TYPE_CHECKING:
    from rich.console import Console

    from datalake_assets.cli.platform import Platform
    from datalake_assets.cli.progress import Watch
    from datalake_assets.sandbox.state import StateFolder

DEFAULT_STATE = PROJECT_ROOT / ".state" / "demo"
SECONDS_PER_DAY_LANDED = 2.0
BASE_DEADLINE_SECONDS = 420.0


class DemoFailed(PermanentError):
    """A run failed, or not everything was built in time."""


@dataclass
class Report:
    """What the demo built; written as it is by `--json`."""

    files: int = 0
    rows_in: int = 0
    rows_published: int = 0
    rows_quarantined: int = 0
    partitions: int = 0
    redshift_rows: int = 0
    dbt_models: int = 0
    runs: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    tables: list[dict[str, Any]] = field(default_factory=list)
    query: dict[str, Any] = field(default_factory=dict)
    case_study: CaseStudy = field(default_factory=CaseStudy)


QUERY_TITLE = "Who kept New Yorkers waiting? (late: departed over 15 minutes behind schedule)"
QUERY_COLUMNS = {
    "carrier_name": "carrier",
    "flights": "flights",
    "cancelled": "cancelled",
    "average_delay": "delay, min",
    "late": "late, %",
}
QUERY = """
select carrier_name, sum(flights) as flights, sum(cancelled_flights) as cancelled,
       round(sum(avg_departure_delay_minutes * (flights - cancelled_flights))
             / nullif(sum(flights - cancelled_flights), 0), 1) as average_delay,
       round(100 * sum(share_departed_late * (flights - cancelled_flights))
             / nullif(sum(flights - cancelled_flights), 0), 1) as late
from marts.daily_delays
group by carrier_name
order by average_delay desc
limit 8
""".strip()


@click.command()
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 365), help="Days of 2013 to land.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the report as JSON.")
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    default=DEFAULT_STATE,
    help="Folder of the demo's sandbox, emptied first. [default: .state/demo in the project]",
)
def demo(days: int, json_file: Path | None, state: Path) -> None:
    """Land DAYS of real files and watch them become lake tables, warehouse tables and dbt models."""
    from rich.console import Console

    from datalake_assets.cli.platform import interruptible, running_platform
    from datalake_assets.sandbox.state import StateFolder

    console = Console(highlight=False)
    begin = time.monotonic()
    _empty(StateFolder(state))
    try:
        with interruptible(), running_platform(state, console, free_ports=True) as platform:
            report = Report(seconds={"start": round(time.monotonic() - begin, 1)})
            watch = _land(days, report, console)
            _wait(watch, platform, console, days)
            _collect(watch, report)
            report.seconds["total"] = round(time.monotonic() - begin, 1)
    except KeyboardInterrupt:
        raise click.ClickException("interrupted; every process of the demo has ended") from None
    _show(report, console, state)
    if json_file:
        json_file.write_text(json.dumps(asdict(report), indent=2, default=str) + "\n", encoding="utf-8")


def _empty(folder: "StateFolder") -> None:
    """Delete what an earlier demo left, unless somebody is looking at it."""
    if folder.path.is_dir():
        folder.lock()
        folder.unlock()
    folder.delete()


def _land(days: int, report: Report, console: "Console") -> "Watch":
    from datalake_assets.accounts.sessions import session
    from datalake_assets.cli.expected import build_watch
    from datalake_assets.sandbox.samples import first_days, land

    account = session("flights")
    begin = time.monotonic()
    # First, for it has the longest way: so that its metric is loaded while the flights are, and dbt runs once.
    others = land_case_study(days, report.case_study)
    landed = land(account.client("s3"), account.account.raw_bucket, first_days(days))
    report.seconds["land"] = round(time.monotonic() - begin, 1)
    report.files = landed.files
    console.print(
        f"[green]✓[/] landed {landed.files} files in s3://{account.account.raw_bucket} and "
        f"{report.case_study.files} in the buckets of {' and '.join(others)} "
        f"[dim]{report.seconds['land']:.1f} s[/]\nFrom here on everything happens by itself:"
    )
    return build_watch({"flights": landed.keys, **others}, {PIPELINE: partitions(report.case_study)})


def _wait(watch: "Watch", platform: "Platform", console: "Console", days: int) -> None:
    """Show progress until everything is built.

    Raises:
        DemoFailed: a run failed (with its error), or time ran out (with what is missing).
        Unavailable: one of the platform's processes ended.
    """
    import dagster as dg

    from datalake_assets.cli.history import History
    from datalake_assets.cli.progress import shown_progress

    deadline = time.monotonic() + BASE_DEADLINE_SECONDS + days * SECONDS_PER_DAY_LANDED
    instance = dg.DagsterInstance.from_config(str(platform.dagster.home))
    watch.history = History(instance)
    with shown_progress(console, watch) as refresh:
        while not watch.is_done():
            platform.supervisor.check()
            platform.sandbox.supervisor.check()
            if failed := watch.history.failed_runs():
                first = failed[0]
                raise DemoFailed(
                    f"the run of {first.job} failed: {first.message}",
                    where=f"run {first.run_id}",
                    todo=f"`datalake dev --state {platform.sandbox.state.path}` shows it in the UI",
                )
            if time.monotonic() > deadline:
                raise DemoFailed(
                    f"not everything was built in time; missing: {', '.join(watch.missing())}",
                    todo=f"The logs are in {platform.dagster.logs}",
                )
            refresh()
            time.sleep(0.5)
        refresh()


def _collect(watch: "Watch", report: Report) -> None:
    """Count what was built: the lake from Dagster's history, the warehouse by asking it."""
    from datalake_assets.accounts.secrets import warehouse_secret
    from datalake_assets.warehouse.connection import connect

    report.seconds |= watch.stage_seconds("flights")
    report.runs = len(watch.history.runs())
    report.dbt_models = len(watch.models)
    with connect(warehouse_secret("flights")) as connection:
        for table in watch.tables:
            if table.location != "flights" or table.warehouse_table is None:
                continue
            built = watch.history.built(table.lake_key)
            schema, name = qualified(table.warehouse_table)
            counted = connection.execute(f"select count(*) from {quoted(schema)}.{quoted(name)}").rows
            row: dict[str, Any] = {
                "table": table.warehouse_table,
                "files": table.files,
                "partitions": len(built),
                "rows_in": sum(int(each.metadata["rows_in"]) for each in built.values()),
                "rows_published": sum(each.rows for each in built.values()),
                "rows_quarantined": sum(int(each.metadata["rows_quarantined"]) for each in built.values()),
                "redshift_rows": int(counted[0][0]),
            }
            report.tables.append(row)
        answer = [list(row) for row in connection.execute(QUERY).rows]
        report.query = {"title": QUERY_TITLE, "sql": QUERY, "columns": list(QUERY_COLUMNS), "rows": answer}
    for name in ("rows_in", "rows_published", "rows_quarantined", "partitions", "redshift_rows"):
        setattr(report, name, sum(int(row[name]) for row in report.tables))
    for row in report.tables:
        if (
            row["redshift_rows"] != row["rows_published"]
            or row["rows_in"] != row["rows_published"] + row["rows_quarantined"]
        ):
            raise DemoFailed(f"the counts of {row['table']} do not agree: {row}")
    collect_case_study(watch, report.case_study)
    for row in report.case_study.tables:
        if row["redshift_rows"] not in (None, row["rows_published"]):
            raise DemoFailed(f"the counts of {row['table']} do not agree: {row}")


def _show(report: Report, console: "Console", state: Path) -> None:
    from rich.table import Table

    table = Table(title="What was built", title_justify="left", title_style="bold", show_footer=True)
    names = ("files", "partitions", "rows_in", "rows_published", "rows_quarantined", "redshift_rows")
    totals = {name: getattr(report, name) for name in names}
    table.add_column("table", footer="total", no_wrap=True)
    headings = ("files", "parti-\ntions", "rows\nin", "rows pub-\nlished", "rows set\naside", "Redshift\nrows")
    for name, heading in zip(names, headings, strict=True):
        table.add_column(heading, justify="right", footer=f"{totals[name]:,}", no_wrap=True)
    for row in report.tables:
        table.add_row(row["table"], *[f"{row[name]:,}" for name in names])
    console.print()
    console.print(table)
    stages = ", ".join(f"{name} {value:.1f}" for name, value in report.seconds.items())
    console.print(f"{report.dbt_models} dbt models, {report.runs} runs. Seconds: {stages}.\n", soft_wrap=True)
    console.print(answer_table(report.query, QUERY_COLUMNS))
    console.print()
    show_case_study(report.case_study, console)
    shown = state.relative_to(Path.cwd()) if state.is_relative_to(Path.cwd()) else state
    console.print("\nNext:")
    for command, purpose in (
        (f".venv/bin/datalake dev --state {shown}", "all of this in the Dagster UI"),
        ("make demo DAYS=365", "the whole year"),
        ("make dev", "a platform of your own, until Ctrl-C"),
    ):
        console.print(f"  {command:46} [dim]{purpose}[/]", soft_wrap=True)
