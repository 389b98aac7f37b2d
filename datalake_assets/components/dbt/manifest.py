"""The dbt project's manifest: what dbt parses the project into, from which the assets are made.

It is built in the image, before the tests and by the commands that start Dagster, never while a location loads.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from datalake_assets.errors import ConfigurationError

PARSE_TIMEOUT_SECONDS = 300
MANIFEST = "manifest.json"
# What dbt reads again instead of parsing all files, as long as nothing changed.
PARTIAL_PARSE = "partial_parse.msgpack"
_DIGEST = "manifest.digest"
_READ_BY_DBT = ("dbt_project.yml", "profiles.yml", "models", "macros", "tests", "seeds", "snapshots", "analyses")


def manifest_path(project_dir: Path) -> Path:
    """Where the project's manifest is, or will be."""
    return project_dir / "target" / MANIFEST


def dbt_executable() -> str:
    """The dbt of this Python environment, whatever the search path says."""
    return str(Path(sys.executable).with_name("dbt"))


def ensure_manifest(project_dir: Path) -> Path:
    """Return the manifest's path after parsing the project anew if any of its files changed since.

    Needs no warehouse and no network. Several processes may call it at once.

    Raises:
        ConfigurationError: there is no dbt project, or dbt cannot parse it; the message is dbt's own.
    """
    if not (project_dir / "dbt_project.yml").is_file():
        raise ConfigurationError(
            "no dbt project here", where=str(project_dir), expected="a folder with dbt_project.yml"
        )
    target = manifest_path(project_dir).parent
    digest = _digest(project_dir)
    known = target / _DIGEST
    if manifest_path(project_dir).is_file() and known.is_file() and known.read_text(encoding="ascii") == digest:
        return manifest_path(project_dir)

    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="parse-", dir=target) as own:
        _parse(project_dir, Path(own))
        (Path(own) / _DIGEST).write_text(digest, encoding="ascii")
        # Renamed one by one, the digest last: whoever looks in between parses again, and nobody reads half a file.
        for name in (PARTIAL_PARSE, MANIFEST, _DIGEST):
            if (Path(own) / name).exists():
                os.replace(Path(own) / name, target / name)
    read_manifest.cache_clear()
    return manifest_path(project_dir)


@cache
def read_manifest(project_dir: Path) -> Mapping[str, Any]:
    """Return the parsed manifest.

    Raises:
        ConfigurationError: the manifest was not built, or is not one.
    """
    path = manifest_path(project_dir)
    try:
        found: Mapping[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ConfigurationError(
            "the dbt project was not parsed yet", where=str(path), todo="Run `datalake dbt-manifest`"
        ) from error
    except ValueError as error:
        raise ConfigurationError(
            f"the dbt manifest is not JSON: {error}", where=str(path), todo="Delete it and run `datalake dbt-manifest`"
        ) from error
    return found


def _parse(project_dir: Path, target: Path) -> None:
    place = ["--project-dir", str(project_dir), "--profiles-dir", str(project_dir), "--target-path", str(target)]
    command = [dbt_executable(), "--quiet", "--no-use-colors", "parse", *place, "--log-path", str(target)]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
            capture_output=True,
            text=True,
            timeout=PARSE_TIMEOUT_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise ConfigurationError("dbt is not installed", where=command[0], todo="Install requirements.lock") from error
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        raise ConfigurationError(f"dbt cannot parse the project:\n{said}", where=str(project_dir))


def _digest(project_dir: Path) -> str:
    """A hash of everything that dbt reads: contents and names, not times, which a checkout or an image changes."""
    found = hashlib.sha256()
    for path in _files(project_dir):
        content = path.read_bytes()
        found.update(f"{path.relative_to(project_dir).as_posix()}\0{len(content)}\0".encode())
        found.update(content)
    return found.hexdigest()


def _files(project_dir: Path) -> Iterator[Path]:
    for name in _READ_BY_DBT:
        path = project_dir / name
        yield from [path] if path.is_file() else sorted(found for found in path.rglob("*") if found.is_file())
