"""The files that declare what runs, and how a command changes them.

Everything new is written beside its place first and moved there in one step: whoever reads meanwhile, and whoever
comes after a crash, sees all of it or nothing. A lock on the folder of locations lets one command change at a time.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from datalake_assets import project
from datalake_assets.errors import AccessDenied, ConcurrentChange, ConfigurationError, PlatformError

LOCK_SECONDS = 30.0
ABANDONED_SECONDS = 3600.0
STAGING_PREFIX = ".datalake-new-"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Tree:
    """The locations' folder, the account registry and the workspace, which belong together."""

    locations: Path
    registry: Path
    workspace: Path

    @classmethod
    def of_project(cls) -> "Tree":
        """The tree that this process works on: the project's own, or the one that the environment names."""
        return cls(project.LOCATIONS_FOLDER, project.REGISTRY, project.WORKSPACE)

    @contextlib.contextmanager
    def locked(self, *, seconds: float = LOCK_SECONDS) -> Iterator[None]:
        """Be the only command that changes the tree.

        Raises:
            ConfigurationError: there is no such folder.
            ConcurrentChange: another command held the lock all the time.
        """
        try:
            descriptor = os.open(self.locations, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise explained(error, self.locations) from error
        try:
            deadline = time.monotonic() + seconds
            while not _locks(descriptor):
                if time.monotonic() > deadline:
                    raise ConcurrentChange(
                        "another command is changing the locations", where=str(self.locations), todo="Try again"
                    )
                time.sleep(0.05)
            yield
        finally:
            os.close(descriptor)  # which unlocks

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder on the same disk that nothing reads, and that is gone afterwards."""
        parent = self._staging_parent()
        _sweep_abandoned(parent)
        try:
            folder = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=parent))
        except OSError as error:
            raise explained(error, parent) from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _staging_parent(self) -> Path:
        """Beside the locations; within them only if a move from there would be a copy, or may not be made."""
        parent = self.locations.parent
        is_same_disk = parent.stat().st_dev == self.locations.stat().st_dev
        return parent if is_same_disk and os.access(parent, os.W_OK) else self.locations


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files of a new folder, each under its name."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            with (folder / name).open("w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise explained(error, folder) from error


def move_in(staged: Path, target: Path) -> None:
    """Let a staged folder appear in its place, in one step.

    Raises:
        ConfigurationError: something is there already.
        AccessDenied: the place may not be written.
    """
    require_vacant(target)
    staged.chmod(0o755)  # a temporary folder is for its owner alone
    try:
        staged.rename(target)
    except OSError as error:
        require_vacant(target)
        raise explained(error, target) from error


def require_vacant(target: Path) -> None:
    """See that nothing would be overwritten; an empty folder is nothing."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigurationError(
            "it exists already", where=shown(target), todo="Choose another name, or delete it first"
        )


def replace_text(path: Path, text: str) -> "Replacement":
    """Prepare the new text of a file, beside it; `commit` puts it in place of the old one in one step."""
    try:
        _sweep_abandoned(path.parent)
        handle, name = tempfile.mkstemp(prefix=STAGING_PREFIX, dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, name)
    except OSError as error:
        raise explained(error, path) from error
    return Replacement(Path(name), path)


@dataclass(frozen=True)
class Replacement:
    """A new text of a file that waits for its `commit`."""

    prepared: Path
    path: Path

    def commit(self) -> None:
        os.replace(self.prepared, self.path)

    def discard(self) -> None:
        """Forget it; nothing happens after a commit."""
        self.prepared.unlink(missing_ok=True)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C and the like wait for the end of a few moves that belong together."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def explained(error: OSError, path: Path) -> PlatformError:
    """What the disk refused, in the words of the platform."""
    reason = (error.strerror or str(error)).lower()
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return AccessDenied(f"it may not be written: {reason}", where=shown(path))
    return ConfigurationError(f"it cannot be written: {reason}", where=shown(path))


def shown(path: Path) -> str:
    """A path as people read it: from the current folder if it is below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _locks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sweep_abandoned(parent: Path) -> None:
    """Remove what commands that were killed have left."""
    for found in parent.glob(f"{STAGING_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - found.stat().st_mtime <= ABANDONED_SECONDS:
                continue
            if found.is_dir():
                shutil.rmtree(found, ignore_errors=True)
            else:
                found.unlink()
