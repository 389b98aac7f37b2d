"""Fixtures that more than one folder of tests needs, and the environment that each test sees."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from datalake_assets.sandbox.sandbox import Sandbox

OWN_PREFIXES = ("AWS_", "DATALAKE_", "DAGSTER_")

# Session fixtures that come with an environment: each test sees that of the one it uses, and none otherwise.
_environments: dict[str, dict[str, str]] = {}


def forget_accounts() -> None:
    """Drop what this process has cached of an environment: settings, sessions, secrets, boto3's default session."""
    import boto3

    from datalake_assets.accounts import secrets, sessions, settings

    boto3.DEFAULT_SESSION = None
    settings.settings.cache_clear()
    sessions.session.cache_clear()
    sessions._platform_sts.cache_clear()
    secrets.warehouse_secret.cache_clear()
    secrets.alerts_secret.cache_clear()


def enter_environment(fixture: str, variables: Mapping[str, str]) -> None:
    """Let this and every later test that uses a session fixture see its variables, and nothing of another one's."""
    _environments[fixture] = dict(variables)
    _replace_environment(variables)


def _replace_environment(variables: Mapping[str, str]) -> None:
    found = {name: value for name, value in os.environ.items() if name.startswith(OWN_PREFIXES)}
    if found == dict(variables):
        return
    for name in found:
        del os.environ[name]
    os.environ.update(variables)
    forget_accounts()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a folder in one process: they share a sandbox, and its servers remember what they were told.

    A file that shares nothing with the others of its folder may name a group of its own, so that no group is too long.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.parent.name))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture: the environment of the session fixture that the test uses, or a clean one."""
    used = [name for name in getattr(item, "fixturenames", ()) if name in _environments]
    _replace_environment(_environments[used[0]] if used else {})


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Sandbox]":
    """A running sandbox on a fresh state folder, and an environment that leads to it and nowhere else."""
    from datalake_assets.sandbox.sandbox import Sandbox, any_free_ports

    folder: Path = tmp_path_factory.mktemp("sandbox")
    with Sandbox(folder / "state", ports=any_free_ports()) as running:
        enter_environment("sandbox", running.environment())
        yield running
    running.state.delete()  # root's PostgreSQL keeps its data elsewhere than in pytest's folder
