"""Fixtures that more than one folder of tests needs."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from datalake_assets.sandbox.sandbox import Sandbox

OWN_PREFIXES = ("AWS_", "DATALAKE_", "DAGSTER_")


def forget_accounts() -> None:
    """Drop what this process has cached of an environment: settings, sessions, secrets."""
    from datalake_assets.accounts import secrets, sessions, settings

    settings.settings.cache_clear()
    sessions.session.cache_clear()
    sessions._platform_sts.cache_clear()
    secrets.warehouse_secret.cache_clear()
    secrets.alerts_secret.cache_clear()


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Sandbox]":
    """A running sandbox on a fresh state folder, and an environment that leads to it and nowhere else."""
    from datalake_assets.sandbox.sandbox import Sandbox, any_free_ports

    before = {name: value for name, value in os.environ.items() if name.startswith(OWN_PREFIXES)}
    folder: Path = tmp_path_factory.mktemp("sandbox")
    with Sandbox(folder / "state", ports=any_free_ports()) as running:
        _replace_environment(running.environment())
        forget_accounts()
        yield running
    # Root's database may live outside of pytest's folder, which would not be cleaned up with it.
    running.state.delete()
    _replace_environment(before)
    forget_accounts()


def _replace_environment(variables: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith(OWN_PREFIXES)]:
        del os.environ[name]
    os.environ.update(variables)
