"""All that can be known to be wrong before anything loads: in each file, and between the files of all accounts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datalake_assets.accounts.registry import registry
from datalake_assets.components.declarations import (
    FILE_NAMES,
    Everything,
    mistake_in,
    read_everything,
    unbound_expressions,
)
from datalake_assets.components.validation.account_rules import Landscape, mistakes_between
from datalake_assets.components.validation.key_overlaps import overlapping_patterns
from datalake_assets.components.validation.query_binding import unbound_queries
from datalake_assets.components.validation.reachable import idle_triggers
from datalake_assets.components.yaml_file import Mistake
from datalake_assets.errors import ConfigurationError
from datalake_assets.project import LOCATIONS_FOLDER

_OUR_TYPE = re.compile(rb"^type:\s*datalake_assets\.components\.", re.MULTILINE)
_LOOKED_AT_BYTES = 4096


@dataclass(frozen=True)
class Validated:
    """What was found below a path.

    Args:
        pipelines: how many files are pipelines or crawls without a mistake of their own.
        registry_complaint: what is wrong with the account registry; then nothing is known between accounts.
    """

    pipelines: int
    mistakes: tuple[Mistake, ...]
    registry_complaint: str | None = None


def validate(path: Path | None = None, *, folder: Path = LOCATIONS_FOLDER) -> Validated:
    """Find all mistakes of all files below a path, those too that show only beside other accounts' pipelines.

    Args:
        path: one file or a folder, everything if None. Below `folder` it is checked beside all that is there; outside
            of it by itself alone, for nothing says which accounts it belongs to.
        folder: where the folders of the locations are.
    """
    is_part = path is None or path.resolve().is_relative_to(folder.resolve())
    found = read_everything(folder if path is None or is_part else path)
    mistakes = [*found.mistakes]
    complaint = None
    try:
        accounts = registry()
    except ConfigurationError as error:
        complaint = str(error)
    else:
        if is_part:
            landscape = Landscape.of(found, accounts)
            mistakes += [*mistakes_between(landscape), *idle_triggers(landscape)]
    mistakes += [*overlapping_patterns(found.pipelines), *_unread_files(folder if is_part else path)]
    chosen = [each for each in found.pipelines if _is_in(each.path, path)]
    mistakes += [*unbound_expressions(chosen), *unbound_queries(chosen, {each.name: each for each in found.pipelines})]
    shown = sorted({each for each in mistakes if _is_in(Path(each.path), path)}, key=_place)
    return Validated(_count(found, path), tuple(shown), complaint)


def _unread_files(folder: Path | None) -> Iterator[Mistake]:
    """Declarations in files of another name, which nothing reads and nobody would miss."""
    if folder is None or folder.is_file():
        return
    for path in sorted(each for pattern in ("*.yaml", "*.yml") for each in folder.rglob(pattern)):
        if path.name not in FILE_NAMES and _OUR_TYPE.search(path.read_bytes()[:_LOOKED_AT_BYTES]):
            yield mistake_in(path, (), f"nothing reads a file of this name; expected {FILE_NAMES[0]}")


def _count(found: Everything, path: Path | None) -> int:
    paths = [each.path for each in found.pipelines] + [each.path for each in found.crawls]
    return sum(_is_in(each, path) for each in paths)


def _is_in(file: Path, path: Path | None) -> bool:
    return path is None or file.resolve().is_relative_to(path.resolve())


def _place(mistake: Mistake) -> tuple[str, int, int, str]:
    return mistake.path, mistake.line, mistake.column, mistake.text
