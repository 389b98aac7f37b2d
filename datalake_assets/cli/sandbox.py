"""`datalake sandbox`: start, stop, status, reset and env."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from datalake_assets.sandbox.state import StateFolder

state_option = click.option(
    "--state",
    "state_path",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder that keeps everything. [default: $DATALAKE_STATE, else .state/dev in the project]",
)


@click.group()
def sandbox() -> None:
    """AWS and Redshift on this machine: start, stop, status, reset."""


@sandbox.command()
@state_option
@click.option("--port-base", type=click.IntRange(1024, 65_500), help="The first of four ports. [default: 27431]")
@click.option("--foreground", is_flag=True, help="Stay, show alerts as they arrive, and stop at Ctrl-C.")
def start(state_path: Path | None, port_base: int | None, foreground: bool) -> None:
    """Start it, or say that it runs; what was in it is there again."""
    from datalake_assets.sandbox.background import start_in_background
    from datalake_assets.sandbox.status import status as read_status

    state = _folder(state_path)
    found = read_status(state)
    if not found["is_ready"]:
        if foreground:
            _hold(state, port_base)
            return
        start_in_background(state, port_base)
    else:
        click.echo("The sandbox already runs.")
    _show(state)
    suffix = "" if state_path is None else f" --state {shlex.quote(str(state_path))}"
    click.echo(f'\nFor other commands in this shell:  eval "$(datalake sandbox env{suffix})"')


@sandbox.command()
@state_option
def stop(state_path: Path | None) -> None:
    """Stop it; the state stays."""
    from datalake_assets.sandbox.background import stop_from_outside

    click.echo("Stopped." if stop_from_outside(_folder(state_path)) else "It was not running.")


@sandbox.command()
@state_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(state_path: Path | None, as_json: bool) -> None:
    """Show what runs where, and the last alerts; exit status 1 when it does not run."""
    from datalake_assets.sandbox.status import status as read_status

    state = _folder(state_path)
    found = read_status(state)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        _show(state)
    if not found["is_running"]:
        raise click.exceptions.Exit(1)


@sandbox.command()
@state_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(state_path: Path | None, yes: bool) -> None:
    """Stop it and delete its state: objects, catalog, warehouse, Dagster's history."""
    from datalake_assets.sandbox.background import stop_from_outside

    state = _folder(state_path)
    state.check_own()
    if not yes:
        click.confirm(f"Delete the sandbox's state in {state.path}?", abort=True)
    if state.path.is_dir():
        stop_from_outside(state)
    left = state.delete()
    click.echo(f"Deleted the sandbox's state in {state.path}.")
    if left:
        click.echo(f"Left alone, because the sandbox did not make it: {', '.join(left)}")


@sandbox.command()
@state_option
def env(state_path: Path | None) -> None:
    """Print the variables as shell code:  eval "$(datalake sandbox env)"."""
    from datalake_assets.cli.dagster_processes import HOME_FOLDER, make_home

    state = _folder(state_path)
    variables = state.environment()
    # Beside `make dev` it is the home of the running Dagster; without, commands that tell Dagster something make it.
    home = make_home(state.path / HOME_FOLDER)
    for name, value in {**variables, "DAGSTER_HOME": str(home)}.items():
        click.echo(f"export {name}={shlex.quote(value)}")


def _folder(state_path: Path | None) -> "StateFolder":
    from datalake_assets.sandbox.background import default_state
    from datalake_assets.sandbox.state import StateFolder

    return StateFolder(state_path or default_state())


def _hold(state: "StateFolder", port_base: int | None) -> None:
    from datalake_assets.sandbox.__main__ import hold, stop_on_signals
    from datalake_assets.sandbox.ports import ports_from
    from datalake_assets.sandbox.sandbox import Sandbox

    stopping = stop_on_signals()
    ports = None if port_base is None else ports_from(port_base)
    with Sandbox(state.path, ports=ports, echo=lambda text: click.echo(f"alert: {text}")) as running:
        _show(state)
        click.echo("\nCtrl-C stops it.")
        hold(running, stopping)
    click.echo("Stopped.")


def _show(state: "StateFolder") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from datalake_assets.sandbox.ports import SERVICES
    from datalake_assets.sandbox.status import status as read_status

    found = read_status(state)
    console = Console(soft_wrap=True, highlight=False)
    if not found["is_running"]:
        console.print(
            f"The sandbox does not run. State: {found['state']}{'' if found['is_made'] else ' (not made yet)'}"
        )
    else:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("service", "address", "answers"):
            table.add_column(heading)
        for name, service in found["services"].items():
            table.add_row(SERVICES[name], f"127.0.0.1:{service['port']}", "yes" if service["is_listening"] else "no")
        console.print(table)
        console.print(f"State: {found['state']}")
    if found["messages"]:
        console.print("\nLast alerts:")
        for message in found["messages"]:
            console.print(f"  {message['received_at'][:19]}  {message['text']}", markup=False)
