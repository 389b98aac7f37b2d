"""A state folder is ours, whole and of this version, or the message says what to do."""

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from datalake_assets.errors import ConfigurationError, Unavailable
from datalake_assets.sandbox import state as state_module
from datalake_assets.sandbox.background import default_state, stop_from_outside
from datalake_assets.sandbox.ports import free_ports, require_free
from datalake_assets.sandbox.postgres_place import can_reach, delete_elsewhere
from datalake_assets.sandbox.processes import birth, is_same
from datalake_assets.sandbox.state import StateFolder, full_disk_explained
from datalake_assets.sandbox.supervisor import User


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    made = StateFolder(tmp_path / "state")
    made.create()
    return made


def test_passwords_are_made_once_and_only_the_owner_reads_them(state: StateFolder) -> None:
    first = state.passwords("a")
    assert state.passwords("a", "b")["a"] == first["a"]
    assert stat.S_IMODE((state.path / "passwords.json").stat().st_mode) == 0o600


def test_of_two_that_ask_for_passwords_at_once_both_get_those_that_stay(state: StateFolder) -> None:
    from concurrent.futures import ThreadPoolExecutor

    names = [f"user{number}" for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(state.passwords, names))
    kept = state.passwords()
    assert [answer[name] for name, answer in zip(names, answers, strict=True)] == [kept[name] for name in names]


def test_a_foreign_folder_is_neither_used_nor_deleted(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigurationError, match=r"not the sandbox's: thesis\.txt"):
        StateFolder(tmp_path).check()
    with pytest.raises(ConfigurationError, match="nothing in it is deleted"):
        StateFolder(tmp_path).delete()
    assert (tmp_path / "thesis.txt").exists()


def test_reset_leaves_what_the_sandbox_did_not_make(state: StateFolder) -> None:
    state.complete({}, "")
    (state.path / "notes.txt").write_text("mine")
    assert state.delete() == ["notes.txt"]
    assert [entry.name for entry in state.path.iterdir()] == ["notes.txt"]


def test_a_half_written_folder_is_named_with_the_command_to_reset(state: StateFolder) -> None:
    state.passwords("a")
    with pytest.raises(ConfigurationError, match=r"half-written[\s\S]*datalake sandbox reset --state"):
        state.check()
    state.lock()
    state.unlock()
    assert state.delete() == []
    assert not state.path.exists()


def test_a_folder_of_another_version_is_named_with_both_versions(state: StateFolder) -> None:
    state.complete({}, "")
    content = json.loads(state.marker.read_text())
    state.marker.write_text(json.dumps({**content, "moto": "4.0.0"}))
    with pytest.raises(ConfigurationError, match=r"moto 4\.0\.0, not \d"):
        state.check()


def test_a_damaged_marker_is_reported(state: StateFolder) -> None:
    state.marker.write_text("{")
    with pytest.raises(ConfigurationError, match="damaged"):
        state.check()


def test_a_second_holder_is_refused_until_the_first_lets_go(state: StateFolder) -> None:
    state.lock()
    other = StateFolder(state.path)
    assert other.is_locked()
    with pytest.raises(Unavailable, match="already runs"):
        other.lock()
    state.unlock()
    other.lock()
    other.unlock()
    assert not state.is_locked()


def test_a_nearly_full_disk_is_seen_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "MIN_FREE_BYTES", 10**18)
    with pytest.raises(Unavailable, match="nearly full"):
        StateFolder(tmp_path / "state").create()


def test_a_disk_that_fills_up_gives_one_message(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="the disk is full"), full_disk_explained(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(Unavailable, match="the disk is full"), full_disk_explained(tmp_path):
        raise Unavailable("PostgreSQL ended: could not write: No space left on device")
    with pytest.raises(Unavailable, match="something else"), full_disk_explained(tmp_path):
        raise Unavailable("something else")


def test_a_process_number_that_another_program_has_now_is_not_taken_for_ours(state: StateFolder) -> None:
    mine = birth(os.getpid())
    assert is_same(mine)
    stranger = {**mine, "born_at": mine["born_at"] - 3600}
    assert not is_same(stranger)
    # Somebody else's process must neither be waited for nor ended, even while another holder has the lock.
    state.write_running({**stranger, "children": [{"name": "AWS", **stranger}]})
    assert stop_from_outside(state) is False


def test_the_process_that_has_a_port_is_named() -> None:
    (port,) = free_ports(1)
    script = f"import socket; s = socket.create_server(('127.0.0.1', {port})); print('up', flush=True); s.accept()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            with pytest.raises(
                Unavailable, match=rf"port {port}, which is for AWS, is in use by process {process.pid}"
            ):
                require_free([("AWS", port)])
        finally:
            process.kill()


def test_the_state_folder_is_found_from_anywhere_in_the_project(tmp_path: Path) -> None:
    (tmp_path / "workspace.yaml").touch()
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert default_state({}, inner) == tmp_path / ".state" / "dev"
    assert default_state({"DATALAKE_STATE": "/elsewhere"}, inner) == Path("/elsewhere")


def test_a_closed_folder_on_the_way_is_noticed(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    tmp_path.chmod(0o700)
    assert not can_reach(inner, User(65_534, 65_534))
    assert can_reach(inner, User(os.getuid(), os.getgid()))


def test_only_a_folder_that_we_made_is_deleted_elsewhere(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    record = tmp_path / "postgres-elsewhere"
    record.write_text(f"{victim}\n")
    delete_elsewhere(record)
    assert victim.exists()
