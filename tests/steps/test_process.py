"""One command: its status, its time, its processes, and what its output may be."""

import os
import threading
from pathlib import Path

import pytest

from datalake_assets.errors import ConfigurationError, StepFailed
from datalake_assets.steps.output import EVENT_LOG_CHARACTERS, KEPT_BYTES, LAST_LINES, Masker, StepOutput
from datalake_assets.steps.process import Command, run_command
from tests.steps.world import is_alive, until


class Shell:
    """Runs texts, and keeps what was told and copied."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[str] = []
        self.copy = folder / "copy"

    def run(
        self, text: str, *, timeout: float | None = None, grace: float = 5.0, secrets: tuple[str, ...] = ()
    ) -> None:
        descriptor = os.open(self.copy, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            output = StepOutput(self.told.append, Masker(secrets), descriptor=descriptor)
            run_command(self.command(["bash", "-c", text], timeout=timeout, grace=grace), output)
        finally:
            os.close(descriptor)

    def command(self, arguments: list[str], *, timeout: float | None = None, grace: float = 5.0) -> Command:
        return Command("the step", arguments, self.folder, dict(os.environ), timeout, grace)

    def number(self, file: str) -> int:
        path = self.folder / file
        return int(until(lambda: path.exists() and path.read_text().strip(), f"the file {file}"))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_what_a_command_prints_is_told_in_its_order(shell: Shell) -> None:
    shell.run("echo one; echo two >&2; echo three")
    assert shell.told == ["one\ntwo\nthree"]
    assert shell.copy.read_text() == "one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo because; exit 3", r"ended with status 3\. Its last lines:\nbecause"),
        ("exit 1", "ended with status 1, without a word"),
        ("no_such_command", r"status 127 \(a command was not found\)"),
        ("kill -9 $$", "was killed by SIGKILL; the system does so when memory runs out"),
        ("kill -SEGV $$", "was killed by SIGSEGV"),
        ("kill -TERM $$", "was killed by SIGTERM"),
    ],
)
def test_a_failed_command_says_how_it_ended(shell: Shell, text: str, said: str) -> None:
    with pytest.raises(StepFailed, match=said):
        shell.run(text)


def test_a_command_that_takes_too_long_is_ended_with_its_children(shell: Shell) -> None:
    with pytest.raises(StepFailed, match=r"took longer than its timeout of 0\.3 s"):
        shell.run("sleep 1000 & echo $! > child; wait", timeout=0.3)
    assert not is_alive(shell.number("child"))


def test_a_command_may_tidy_up_before_its_end(shell: Shell) -> None:
    with pytest.raises(StepFailed, match="timeout"):
        shell.run("trap 'echo tidy; exit 0' TERM; sleep 1000 & wait", timeout=0.3)
    assert shell.told == ["tidy"]


def test_a_command_that_ignores_the_request_to_end_is_killed(shell: Shell) -> None:
    with pytest.raises(StepFailed, match="timeout"):
        shell.run("trap '' TERM; echo $$ > shell; sleep 1000; sleep 1000", timeout=0.3, grace=0.3)
    assert not is_alive(shell.number("shell"))


def test_what_a_command_leaves_in_the_background_ends_with_it(shell: Shell) -> None:
    shell.run("setsid nohup sleep 1000 & echo $! > away; sleep 1000 & echo $! > child; echo done")
    assert shell.told == ["done"]
    until(lambda: not is_alive(shell.number("away")), "the end of the process that left its session")
    assert not is_alive(shell.number("child"))


def test_a_command_that_kills_its_keeper_ends_with_it(shell: Shell) -> None:
    with pytest.raises(StepFailed, match="killed by SIGKILL"):
        shell.run("echo $$ > shell; kill -9 $PPID; sleep 1000; sleep 1000")
    until(lambda: not is_alive(shell.number("shell")), "the end of the shell")


def test_a_command_that_closes_its_output_is_waited_for(shell: Shell) -> None:
    with pytest.raises(StepFailed, match="status 4"):
        shell.run("exec >&- 2>&-; sleep 0.3; exit 4")


def test_a_command_waits_for_no_input(shell: Shell) -> None:
    shell.run("cat; echo over")
    assert shell.told == ["over"]


def test_a_run_that_is_gone_ends_its_command(shell: Shell) -> None:
    gone = threading.Event()
    command = shell.command(["bash", "-c", "echo $$ > shell; sleep 1000"])
    output = StepOutput(shell.told.append, descriptor=None)
    threading.Timer(0, lambda: (shell.number("shell"), gone.set())).start()
    with pytest.raises(StepFailed, match="the run that it belongs to is gone"):
        run_command(command, output, is_orphaned=gone.is_set)
    assert not is_alive(shell.number("shell"))


def test_an_interrupt_of_the_run_ends_its_command(shell: Shell) -> None:
    class Interrupted(BaseException):
        pass

    def interrupt() -> bool:
        if (shell.folder / "shell").exists():
            raise Interrupted
        return False

    command = shell.command(["bash", "-c", "echo $$ > new; mv new shell; sleep 1000"])
    with pytest.raises(Interrupted):
        run_command(command, StepOutput(shell.told.append, descriptor=None), is_orphaned=interrupt)
    assert not is_alive(shell.number("shell"))


def test_a_folder_that_is_not_there_is_told(shell: Shell) -> None:
    command = Command("the step", ["true"], shell.folder / "gone", dict(os.environ))
    with pytest.raises(ConfigurationError, match="cannot be started"):
        run_command(command, StepOutput(shell.told.append, descriptor=None))


def test_a_hundred_megabytes_reach_the_log_by_their_beginning_and_end(shell: Shell) -> None:
    shell.run("echo first; yes 'a line of forty characters, give or take' | head -c 100000000; echo; echo last")
    told = "\n".join(shell.told)
    assert len(told) < 1.5 * EVENT_LOG_CHARACTERS
    assert told.startswith("first\n")
    assert told.endswith("last")
    assert "more lines stand in the step's output" in told
    assert KEPT_BYTES <= shell.copy.stat().st_size < KEPT_BYTES + 1000


def test_bytes_that_are_no_text_do_not_break_the_log(shell: Shell) -> None:
    shell.run(r"head -c 3000000 /dev/urandom; printf '\0\0\033[31mred\033[0m\n'")
    told = "\n".join(shell.told)
    assert "\0" not in told
    assert "\x1b" not in told
    assert told.endswith("red")
    assert len(told) < 1.5 * EVENT_LOG_CHARACTERS


def test_a_failure_shows_the_last_lines_only(shell: Shell) -> None:
    with pytest.raises(StepFailed) as caught:
        shell.run("seq 100000; exit 1")
    lines = str(caught.value).splitlines()
    assert lines[1:] == [str(number) for number in range(100001 - LAST_LINES, 100001)]


def test_secrets_are_hidden_wherever_they_are_cut(shell: Shell) -> None:
    secret = "correct-horse\nbattery-staple"
    with pytest.raises(StepFailed) as caught:
        shell.run(
            "printf 'it is correct-ho'; sleep 0.3; echo 'rse and battery-staple!'; exit 1",
            secrets=(secret, "correct"),
        )
    shown = [*shell.told, str(caught.value), shell.copy.read_text()]
    assert all("horse" not in text and "staple" not in text for text in shown)
    assert "it is ••• and •••!" in shell.told


def test_a_secret_in_an_endless_line_is_hidden_too() -> None:
    told: list[str] = []
    read, write = os.pipe()
    output = StepOutput(told.append, Masker(["correct-horse"]), descriptor=None)
    os.close(read)
    os.close(write)
    for cut in range(1, 13):
        data = b"x" * 70_000 + b"correct-horse"
        output.write(data[: 70_000 + cut])
        output.write(data[70_000 + cut :])
    output.close()
    assert "horse" not in "".join(told)
    assert "correct" not in "".join([*told, *output.last_lines])


def test_a_full_disk_of_the_log_does_not_end_the_step() -> None:
    told: list[str] = []
    descriptor = os.open("/dev/full", os.O_WRONLY)
    output = StepOutput(told.append, descriptor=descriptor)
    output.write(b"one\n")
    output.write(b"two\n")
    output.close()
    os.close(descriptor)
    assert told == ["one\ntwo"]
