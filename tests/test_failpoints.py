"""Failpoints: what the variable may say, what each action does, and that each is marked where its step is."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from datalake_assets import failpoints
from datalake_assets.errors import ConfigurationError, Unavailable
from datalake_assets.failpoints import FAILPOINTS, arm, failpoint
from datalake_assets.project import PROJECT_ROOT

PACKAGE = PROJECT_ROOT / "datalake_assets"


WAYS = {"publish.before_switch": 2}  # a partition, and a table without partitions under its lock


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    arm("")
    yield
    arm("")


@cache
def marked() -> list[tuple[str, str]]:
    """Each call of `failpoint` in the package: its name and where it stands."""
    found: list[tuple[str, str]] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name == "failpoints.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                if name == "failpoint":
                    (argument,) = node.args
                    assert isinstance(argument, ast.Constant), f"{path}:{node.lineno}: the name is not a literal"
                    found.append((str(argument.value), f"{path.relative_to(PROJECT_ROOT)}:{node.lineno}"))
    return found


@pytest.mark.parametrize("name", sorted(FAILPOINTS))
def test_every_failpoint_is_marked_once_for_each_way_to_its_step(name: str) -> None:
    places = [place for found, place in marked() if found == name]
    assert len(places) == WAYS.get(name, 1), f"{name} is marked at {places or 'no place'}"


def test_every_marked_failpoint_is_declared() -> None:
    assert [each for each in marked() if each[0] not in FAILPOINTS] == []


@pytest.mark.parametrize(
    "text",
    [
        "publish.nowhere=kill",
        "publish.manifest",
        "publish.manifest=",
        "publish.manifest=explode",
        "publish.manifest=kill@",
        "publish.manifest=kill@-1",
        "publish.manifest=kill@x",
        "publish.manifest=wait",
        "publish.manifest=wait:",
        "publish.manifest=kill:/tmp/file",
        "=kill",
        "drain.received=kill;publish.nowhere=kill",
    ],
)
def test_a_wrong_entry_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ConfigurationError, match="DATALAKE_FAILPOINTS has the entry"):
        arm(text)


def test_a_failpoint_cannot_be_armed_for_its_zeroth_hit() -> None:
    with pytest.raises(ConfigurationError):
        arm("publish.manifest=kill@0")


@pytest.mark.parametrize("text", ["", " ", ";", " ; "])
def test_nothing_is_armed_by_an_empty_text(text: str) -> None:
    arm(text)
    for name in FAILPOINTS:
        failpoint(name)


def test_an_error_is_transient_and_says_which_failpoint_it_was() -> None:
    arm("load.staged=error")
    with pytest.raises(Unavailable, match=r"load\."):
        failpoint("load.staged")


def test_only_the_armed_hit_acts_and_it_acts_once() -> None:
    arm("load.staged=error@3")
    failpoint("load.staged")
    failpoint("load.staged")
    with pytest.raises(Unavailable):
        failpoint("load.staged")
    failpoint("load.staged")


def test_several_failpoints_are_armed_at_once_and_others_are_not() -> None:
    arm(" load.staged=error ; drain.received=error@2 ;")
    failpoint("publish.manifest")
    failpoint("drain.received")
    for name in ("drain.received", "load.staged"):
        with pytest.raises(Unavailable):
            failpoint(name)


def test_arming_again_replaces_what_was_armed() -> None:
    arm("load.staged=error")
    arm("publish.manifest=error")
    failpoint("load.staged")
    with pytest.raises(Unavailable):
        failpoint("publish.manifest")


def test_waiting_ends_when_the_file_is_there(tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.touch()
    arm(f"load.staged=wait:{go}")
    failpoint("load.staged")


def test_waiting_lasts_until_the_file_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = tmp_path / "go"
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            go.touch()

    monkeypatch.setattr(failpoints.time, "sleep", sleep)
    arm(f"load.staged=wait:{go}")
    failpoint("load.staged")
    assert len(looks) == 3


def test_a_kill_is_a_sigkill_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(failpoints.os, "kill", lambda pid, number: sent.append((pid, number)))
    monkeypatch.setattr(failpoints.time, "sleep", lambda seconds: None)
    arm("load.staged=kill")
    failpoint("load.staged")
    assert sent == [(failpoints.os.getpid(), failpoints.signal.SIGKILL)]


def test_an_unarmed_failpoint_looks_nothing_up() -> None:
    class Untouchable(str):
        def __hash__(self) -> int:
            raise AssertionError("an unarmed failpoint looked its name up")

    failpoint(Untouchable("load.staged"))
