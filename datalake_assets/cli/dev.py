"""`datalake dev`: the whole platform for a person, with the Dagster UI, until Ctrl-C."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from datalake_assets.cli.platform import Platform

DEFAULT_UI_PORT = 3000
POLL_SECONDS = 1.0
SAMPLE_DAYS = 7
SAMPLE_TRIGGERED_DAYS = 2  # of listings and searches: each day is a run of its own


@click.command()
@click.option("--port", default=DEFAULT_UI_PORT, show_default=True, help="Port of the Dagster UI.")
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    help="The folder that keeps everything. [default: $DATALAKE_STATE, else .state/dev in the project]",
)
@click.option("--sample/--no-sample", default=True, help="Land sample files where the sandbox is empty.")
def dev(port: int, state: Path | None, sample: bool) -> None:
    """Run the sandbox, Dagster's daemon and the UI; show runs and alerts as they come; end all of it on Ctrl-C."""
    from rich.console import Console
    from rich.markup import escape

    from datalake_assets.cli.platform import interruptible, running_platform
    from datalake_assets.sandbox.background import default_state
    from datalake_assets.sandbox.ports import LOCALHOST, require_free

    state = state or default_state()
    console = Console(highlight=False, soft_wrap=True)
    require_free([("the Dagster UI (choose another with --port)", port)])
    try:
        with (
            interruptible(),
            running_platform(
                state, console, ui_port=port, echo=lambda text: console.print(f"[yellow]alert[/] {escape(text)}")
            ) as platform,
        ):
            if sample:
                _land_sample(console)
            console.print(f"\n  Dagster UI   [bold]http://{LOCALHOST}:{port}[/]")
            console.print(
                f"  State        {state}   [dim](kept; `datalake sandbox reset --state {state}` deletes it)[/]"
            )
            console.print(f'  Other shell  eval "$(.venv/bin/datalake sandbox env --state {state})"', markup=False)
            console.print("  Stop         Ctrl-C\n")
            _follow(platform, console)
    except KeyboardInterrupt:
        console.print("Stopped.")


def _land_sample(console: "Console") -> None:
    """Land flights, listings and searches, each where its raw bucket is empty."""
    from datalake_assets.accounts.sessions import session
    from datalake_assets.sandbox import listings, samples, searches

    days = listings.first_days(SAMPLE_TRIGGERED_DAYS)
    for location, files in (
        ("flights", samples.samples(samples.first_days(SAMPLE_DAYS))),
        ("core_data", listings.listings(days)),
        ("search", searches.searches(days)),
    ):
        account = session(location)
        s3, bucket = account.client("s3"), account.account.raw_bucket
        if s3.list_objects_v2(Bucket=bucket, MaxKeys=1).get("KeyCount"):
            continue
        landed = samples.upload(s3, bucket, files)
        console.print(f"[green]✓[/] the sandbox was empty: landed {landed.files} sample files in s3://{bucket}")


def _follow(platform: "Platform", console: "Console") -> None:
    """Print each run as it starts and ends, until a process dies or the user interrupts."""
    import dagster as dg

    from datalake_assets.cli.history import FailedRun, History

    shown: dict[str, dg.DagsterRunStatus] = {}
    colors = {dg.DagsterRunStatus.SUCCESS: "green", dg.DagsterRunStatus.FAILURE: "red"}
    with dg.DagsterInstance.from_config(str(platform.dagster.home)) as instance:
        history = History(instance)
        for run in instance.get_runs():
            shown[run.run_id] = run.status
        while True:
            platform.supervisor.check()
            platform.sandbox.supervisor.check()
            for run in reversed(instance.get_runs(limit=100)):
                if shown.get(run.run_id) == run.status or not (run.is_finished or run.run_id not in shown):
                    continue
                shown[run.run_id] = run.status
                what = run.tags.get("datalake/reason", "")
                color = colors.get(run.status, "cyan")
                console.print(
                    f"[dim]{time.strftime('%H:%M:%S')}[/] [{color}]{run.status.value.lower():9}[/] "
                    f"{run.job_name} [dim]{run.run_id[:8]} {what}[/]"
                )
                if run.status == dg.DagsterRunStatus.FAILURE:
                    failed: FailedRun = history.failed_run(run)
                    console.print(failed.message, style="red", markup=False)
            time.sleep(POLL_SECONDS)
