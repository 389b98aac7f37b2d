"""Dagster's instance for commands that tell it what they did."""

import getpass
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets.errors import ConfigurationError

if TYPE_CHECKING:
    import dagster as dg

HOME_VARIABLE = "DAGSTER_HOME"
_MISSING = re.compile(r'environment variable "(\w+)" which is not set')
_TODO = 'For the sandbox, `eval "$(datalake sandbox env)"` sets it'


@contextmanager
def dagster_instance() -> "Iterator[dg.DagsterInstance]":
    """The instance of `DAGSTER_HOME`, which must have a `dagster.yaml`: without one, nobody would see what it is told.

    Raises:
        ConfigurationError: the variable is missing, or leads to no such folder.
        Unavailable: Dagster's database does not answer.
    """
    home = os.environ.get(HOME_VARIABLE, "")
    if not home:
        raise ConfigurationError(f"{HOME_VARIABLE} is not set", expected="the folder of dagster.yaml", todo=_TODO)
    if not (Path(home) / "dagster.yaml").is_file():
        raise ConfigurationError(
            f"{HOME_VARIABLE} is {home!r}, which has no dagster.yaml", expected="the folder of dagster.yaml", todo=_TODO
        )
    import dagster as dg

    _require_database()
    with _explained(), dg.DagsterInstance.get() as instance:
        yield instance


def current_user() -> str:
    """Who asks; containers run under numbers that have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _require_database() -> None:
    """Ask Dagster's database once, which fails in a line: Dagster asks six times and prints each failure."""
    from sqlalchemy import text

    from datalake_assets.database.engine import engine, transaction

    if url := os.environ.get("DATALAKE_DAGSTER_DATABASE_URL"):
        with transaction(engine(url)) as connection:
            connection.execute(text("SELECT 1"))


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what Dagster raises for a setting that is missing into one line."""
    import dagster as dg

    try:
        yield
    except dg.DagsterInvalidConfigError as error:
        missing = sorted(set(_MISSING.findall(str(error))))
        told = f"{', '.join(missing)} not set" if missing else " ".join(error.errors[0].message.split())
        raise ConfigurationError(f"dagster.yaml cannot be used: {told}", where=HOME_VARIABLE, todo=_TODO) from error
