"""A new account: its entry in the registry, its code location in the workspace, its folder."""

import keyword
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from datalake_assets import names
from datalake_assets.accounts.registry import AccountId, Region, Registry, load_registry
from datalake_assets.components.authoring.tree import (
    Replacement,
    Tree,
    explained,
    move_in,
    replace_text,
    shown,
    uninterrupted,
    write_files,
)
from datalake_assets.components.authoring.yaml_edit import append_entry
from datalake_assets.errors import ConfigurationError, InvalidName

DEFINITIONS = "datalake_assets.definitions"
LONGEST_ACCOUNT = 48  # so that `datalake-<name>-lake` is the name of a bucket
ROLE = "datalake-location"
RESERVED = ("build_location",)  # attributes of `definitions`, where each location is one
WAREHOUSE_SECRET = "datalake/warehouse"
MADE_UP = "made up, good for the sandbox: write the real one here and into the role"


@dataclass(frozen=True)
class NewAccount:
    """What was made; `written` and `found` are files, and `id` is made up unless somebody gave it."""

    name: str
    id: str
    written: tuple[Path, ...]
    found: tuple[Path, ...]


def make_account(tree: Tree, name: str, *, id: str | None = None, regions: Sequence[str] = ()) -> NewAccount:
    """Add an account to the registry and to the workspace, and make its folder.

    What a command that was killed has left half done is completed.

    Args:
        id: twelve digits; by default a free number, for the sandbox.
        regions: the home region first; by default that of the platform.

    Raises:
        ConfigurationError: the name or the id is wrong or taken, or a file cannot be added to.
        AccessDenied: a file or folder may not be written.
    """
    require_location_name(name)
    with tree.locked():
        known = load_registry(tree.registry)
        _require_free(known, tree, name, id, regions)
        entry = known.accounts.get(name)
        number = entry.id if entry else id or _free_id(known)
        folder = tree.locations / name
        with tree.staging() as staging:
            replacements: list[Replacement] = []
            try:
                if entry is None:
                    text = _read(tree.registry)
                    block = _entry(name, number, regions or (known.platform.region,), is_made_up=id is None)
                    replacements.append(
                        replace_text(tree.registry, append_entry(text, "accounts", block, where=shown(tree.registry)))
                    )
                    _require_valid(replacements[-1], name)
                if not _is_in_workspace(tree.workspace, name):
                    text = _read(tree.workspace)
                    replacements.append(
                        replace_text(
                            tree.workspace,
                            append_entry(text, "load_from", _location(name), where=shown(tree.workspace)),
                        )
                    )
                is_new = not (folder / "__init__.py").exists()
                if is_new:
                    write_files(staging / name, {"__init__.py": f'"""The pipelines of the account {name}."""\n'})
                with uninterrupted():
                    if is_new:
                        move_in(staging / name, folder)
                    for each in replacements:
                        each.commit()
            finally:
                for each in replacements:
                    each.discard()
    written = [*(each.path for each in replacements), *([folder / "__init__.py"] if is_new else [])]
    found = [path for path in (tree.registry, tree.workspace, folder / "__init__.py") if path not in written]
    return NewAccount(name, number, tuple(written), tuple(found))


def require_location_name(name: str) -> None:
    """See that a name can be that of an account: a folder, a Python module, an attribute, a part of buckets' names.

    Raises:
        InvalidName: it cannot be a name of anything here; the message has a near one that can.
        ConfigurationError: it means something already.
    """
    require_name(name, what="account")
    if len(name) > LONGEST_ACCOUNT:
        raise ConfigurationError(
            f"the account name {name!r} has {len(name)} characters",
            expected=f"at most {LONGEST_ACCOUNT}, because buckets are called after it",
        )
    if name in RESERVED or keyword.iskeyword(name):
        raise ConfigurationError(f"an account cannot be called {name!r}", expected="a name that means nothing else")


def require_name(name: str, *, what: str) -> str:
    """Return a name of an account or a pipeline; raise `InvalidName` with the nearest one that is possible."""
    try:
        names.identifier(name, what=what)
        if name.startswith("_"):
            raise InvalidName(f"{what} {name!r} starts with _", expected="a letter first")
    except InvalidName as error:
        near = nearest_name(name)
        raise InvalidName(
            error.found, expected=error.expected, todo=f"Did you mean {near}?" if near else None
        ) from error
    return name


def nearest_name(text: str) -> str | None:
    """`Movie-Posts 2` → `movie_posts_2`; None if no letter is left."""
    made = "".join(each if each.isascii() and each.isalnum() else "_" for each in text.lower())
    made = made.lstrip("_0123456789").rstrip("_")[: names.MAX_IDENTIFIER_CHARACTERS]
    return made or None


def _require_free(known: Registry, tree: Tree, name: str, id: str | None, regions: Sequence[str]) -> None:
    if id is not None:
        try:
            TypeAdapter(AccountId).validate_python(id)
        except ValidationError as error:
            raise ConfigurationError(f"{id!r} is no account id", expected="twelve digits") from error
    for region in regions:
        try:
            TypeAdapter(Region).validate_python(region)
        except ValidationError as error:
            raise ConfigurationError(f"{region!r} is no region", expected="a name such as eu-central-1") from error
    owner = next((each.name for each in known if each.id == id and each.name != name), None)
    if owner:
        raise ConfigurationError(f"the id {id} belongs to {owner}", where=shown(tree.registry))
    entry = known.accounts.get(name)
    if entry is None:
        return
    is_complete = (tree.locations / name / "__init__.py").exists() and _is_in_workspace(tree.workspace, name)
    if is_complete or (id is not None and id != entry.id):
        raise ConfigurationError(
            f"the account {name} exists already, with the id {entry.id}",
            where=shown(tree.registry),
            todo=f"A pipeline of it: `datalake new pipeline {name}/NAME`",
        )


def _free_id(known: Registry) -> str:
    """A number that nobody has: one digit twelve times, as people see at once that it is made up."""
    taken = {known.platform.id, *(each.id for each in known)}
    repeated = (str(digit) * 12 for digit in range(1, 10))
    counted = (f"9000000{number:05}" for number in range(1, 100_000))
    return next(each for each in (*repeated, *counted) if each not in taken)


def _entry(name: str, id: str, regions: Sequence[str], *, is_made_up: bool) -> str:
    dashed = name.replace("_", "-")
    remark = f"  # {MADE_UP}" if is_made_up else ""
    return "\n".join(
        [
            f"{name}:",
            f'  id: "{id}"{remark}',
            f"  role: arn:aws:iam::{id}:role/{ROLE}",
            f"  regions: [{', '.join(regions)}]",
            f"  raw_bucket: datalake-{dashed}-raw",
            f"  lake_bucket: datalake-{dashed}-lake",
            f"  arrivals_queue: datalake-{dashed}-arrivals",
            f"  glue_database: {name}_lake",
            f"  warehouse_secret: {WAREHOUSE_SECRET}",
            "  # grants: {a_table: [another_account]}  # who else may read which of its lake tables",
        ]
    )


def _location(name: str) -> str:
    return f"- python_module: {{module_name: {DEFINITIONS}, attribute: {name}, location_name: {name}}}"


def _is_in_workspace(path: Path, name: str) -> bool:
    import yaml

    try:
        entries = yaml.safe_load(_read(path))["load_from"] or []
        return any(each["python_module"]["location_name"] == name for each in entries)
    except (KeyError, TypeError, yaml.YAMLError) as error:
        raise ConfigurationError(
            "the workspace cannot be read", where=shown(path), expected="load_from with python_module entries"
        ) from error


def _require_valid(replacement: Replacement, name: str) -> None:
    """See that the registry will be one, before it is: a bucket may be taken under another account's name."""
    try:
        load_registry(replacement.prepared)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"the account {name} cannot be added: {error.found}", where=shown(replacement.path)
        ) from error


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError("the file is not UTF-8 text", where=shown(path)) from error
    except OSError as error:
        raise explained(error, path) from error
