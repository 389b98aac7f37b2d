"""Where the cluster is: inside the state folder, or elsewhere when the borrowed user cannot get there."""

import os
import subprocess
from pathlib import Path

import pytest

from datalake_assets.sandbox import postgres_place
from datalake_assets.sandbox.postgres_place import ELSEWHERE_PREFIX, find_place
from datalake_assets.sandbox.state import StateFolder
from datalake_assets.sandbox.supervisor import User

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root lends a user")


def test_a_normal_user_keeps_the_cluster_in_the_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    place = find_place(tmp_path)
    assert place.data == tmp_path / "postgres"
    assert place.user is None


@only_root
def test_root_puts_it_elsewhere_when_the_way_is_closed_and_finds_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_place, "_outside", lambda: tmp_path / "outside")
    (tmp_path / "outside").mkdir()
    state = StateFolder(tmp_path / "closed" / "state")
    state.create()
    (tmp_path / "closed").chmod(0o700)
    place = find_place(state.path)
    assert place.data.parent.name.startswith(ELSEWHERE_PREFIX)
    assert place.user is not None
    assert place.data.parent.stat().st_uid == place.user.uid
    assert find_place(state.path) == place
    state.lock()
    state.unlock()
    state.delete()
    assert not place.data.parent.exists()


@only_root
def test_programs_that_the_user_cannot_reach_are_copied_and_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_place, "_outside", lambda: tmp_path)
    monkeypatch.setattr(postgres_place, "can_reach", lambda path, user: False)
    place = find_place(tmp_path)
    assert place.install.is_relative_to(place.data.parent)
    done = subprocess.run([place.install / "bin" / "postgres", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("postgres (PostgreSQL) 18")
    assert isinstance(place.user, User)
