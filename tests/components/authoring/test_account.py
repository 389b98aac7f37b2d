"""A new account is in the registry, in the workspace and has a folder; or nothing of it is there."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from datalake_assets import definitions
from datalake_assets.accounts.registry import load_registry
from datalake_assets.cli.dagster_processes import read_workspace
from datalake_assets.components.authoring import account as module
from datalake_assets.components.authoring.account import RESERVED, make_account, nearest_name
from datalake_assets.components.authoring.tree import STAGING_PREFIX, Tree, explained
from datalake_assets.errors import AccessDenied, ConcurrentChange, ConfigurationError
from tests.components.authoring.conftest import everything


def test_it_is_known_everywhere_and_the_comments_are_kept(tree: Tree) -> None:
    before = tree.registry.read_text()
    made = make_account(tree, "web_shop", id="987654321098", regions=["us-east-1", "eu-west-1"])
    found = load_registry(tree.registry).accounts["web_shop"]
    assert (found.id, found.regions) == ("987654321098", ("us-east-1", "eu-west-1"))
    assert (found.raw_bucket, found.glue_database) == ("datalake-web-shop-raw", "web_shop_lake")
    assert [each.name for each in read_workspace(tree.workspace)] == ["flights", "web_shop"]
    assert tree.registry.read_text().startswith(before)
    assert set(made.written) == {tree.registry, tree.workspace, tree.locations / "web_shop" / "__init__.py"}


def test_without_an_id_it_gets_a_free_one_that_is_seen_to_be_made_up(tree: Tree) -> None:
    first, second = make_account(tree, "one"), make_account(tree, "two")
    assert first.id != second.id
    assert tree.registry.read_text().count("made up") == 2


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Web-Shop", "Did you mean web_shop"),
        ("9lives", "Did you mean lives"),
        ("_hidden", "a letter first"),
        ("---", "not a valid identifier"),
        ("", "not a valid identifier"),
        ("class", "means nothing else"),
        ("build_location", "means nothing else"),
        ("a" * 49, "49 characters"),
        ("../up", "not a valid identifier"),
    ],
)
def test_a_wrong_name_changes_nothing(tree: Tree, name: str, told: str) -> None:
    before = everything(tree)
    with pytest.raises(ConfigurationError, match=told):
        make_account(tree, name)
    assert everything(tree) == before


def test_no_attribute_of_the_entry_module_can_be_a_location() -> None:
    taken = {name for name in vars(definitions) if nearest_name(name) == name}
    assert taken == set(RESERVED)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"id": "12"}, "twelve digits"),
        ({"id": "111111111111"}, "belongs to flights"),
        ({"regions": ["Frankfurt"]}, "a name such as eu-central-1"),
    ],
)
def test_wrong_or_taken_values_change_nothing(tree: Tree, options: dict[str, object], told: str) -> None:
    before = everything(tree)
    with pytest.raises(ConfigurationError, match=told):
        make_account(tree, "shop", **options)  # type: ignore[arg-type]
    assert everything(tree) == before


def test_an_account_that_exists_is_refused(tree: Tree) -> None:
    make_account(tree, "shop")
    before = everything(tree)
    with pytest.raises(ConfigurationError, match="exists already"):
        make_account(tree, "shop")
    assert everything(tree) == before


def test_a_bucket_that_another_account_has_is_told(tree: Tree) -> None:
    text = tree.registry.read_text()
    tree.registry.write_text(text.replace("datalake-flights-raw", "datalake-shop-raw"))
    before = everything(tree)
    with pytest.raises(ConfigurationError, match="raw_bucket 'datalake-shop-raw' belongs to both"):
        make_account(tree, "shop")
    assert everything(tree) == before


@pytest.mark.parametrize("missing", ["registry", "workspace", "folder"])
def test_what_a_killed_command_left_half_done_is_completed(tree: Tree, missing: str) -> None:
    before = everything(tree)
    make_account(tree, "shop")
    whole = everything(tree)
    if missing == "folder":
        (tree.locations / "shop" / "__init__.py").unlink()
        (tree.locations / "shop").rmdir()
    else:
        (tree.locations.parent / f"{missing}.yaml").write_text(before[f"{missing}.yaml"])
    make_account(tree, "shop")
    assert everything(tree) == whole


class Interrupted(BaseException):
    """As Ctrl-C raises: no error that anybody catches."""


@pytest.mark.parametrize("step", ["append_entry", "replace_text", "write_files", "move_in"])
def test_whatever_ends_it_before_the_moves_leaves_nothing(
    tree: Tree, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise Interrupted

    before = everything(tree)
    monkeypatch.setattr(module, step, interrupt)
    with pytest.raises(Interrupted):
        make_account(tree, "shop")
    assert everything(tree) == before


KILLED = """
import os, sys
from pathlib import Path
from datalake_assets.components.authoring import account
from datalake_assets.components.authoring.tree import Tree
account.uninterrupted = lambda: os._exit(9)  # as SIGKILL, when all is written and nothing is moved
root = Path(sys.argv[1])
account.make_account(Tree(root / "locations", root / "registry.yaml", root / "workspace.yaml"), "shop")
"""


def test_what_a_killed_command_has_staged_is_seen_by_nobody_and_swept_later(tree: Tree) -> None:
    root = tree.locations.parent
    known, folders = tree.registry.read_text(), sorted(tree.locations.rglob("*"))
    assert subprocess.run([sys.executable, "-c", KILLED, root], check=False).returncode == 9
    assert (tree.registry.read_text(), sorted(tree.locations.rglob("*"))) == (known, folders)
    left = [each for each in root.iterdir() if each.name.startswith(STAGING_PREFIX)]
    assert len(left) == 3
    for each in left:
        os.utime(each, (0, 0))
    make_account(tree, "shop")
    assert sorted(each.name for each in root.iterdir()) == ["locations", "registry.yaml", "workspace.yaml"]


def test_of_many_at_once_none_is_lost(tree: Tree) -> None:
    names = [f"shop{n}" for n in range(8)]
    failed: list[BaseException] = []

    def make(name: str) -> None:
        try:
            make_account(tree, name)
        except BaseException as error:  # noqa: BLE001 - told by the assertion below
            failed.append(error)

    threads = [threading.Thread(target=make, args=(name,)) for name in names]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failed == []
    assert set(names) <= set(load_registry(tree.registry).accounts)
    assert set(names) <= {each.name for each in read_workspace(tree.workspace)}
    assert len({each.id for each in load_registry(tree.registry)}) == len(load_registry(tree.registry).accounts)


def test_a_command_that_waits_too_long_for_another_says_so(tree: Tree) -> None:
    with tree.locked(), pytest.raises(ConcurrentChange, match="another command"), tree.locked(seconds=0.1):
        pass


READ_ONLY = """
import os, sys
from pathlib import Path
from datalake_assets.components.authoring.account import make_account
from datalake_assets.components.authoring.tree import Tree
root = Path(sys.argv[1])
if os.geteuid() == 0:
    os.seteuid(65534)  # root may write everywhere
make_account(Tree(root / "locations", root / "registry.yaml", root / "workspace.yaml"), "shop")
"""


@pytest.mark.parametrize("part", ["locations", "."])
def test_a_tree_that_may_not_be_written_is_told_in_a_line(tree: Tree, part: str) -> None:
    root = tree.locations.parent
    for folder in [root, *root.parents]:
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    root.chmod(0o777)
    tree.locations.chmod(0o777)
    (root / part).chmod(0o555)
    before = everything(tree)
    done = subprocess.run([sys.executable, "-c", READ_ONLY, root], capture_output=True, text=True)
    assert "AccessDenied" in done.stderr.splitlines()[-1], done.stderr
    assert "may not be written: permission denied" in done.stderr
    assert everything(tree) == before
    root.chmod(0o755)
    tree.locations.chmod(0o755)


def test_a_file_system_that_is_read_only_is_an_error_of_access() -> None:
    import errno

    assert isinstance(explained(OSError(errno.EROFS, "Read-only file system"), Path("x")), AccessDenied)
    assert isinstance(explained(OSError(errno.ENOSPC, "No space left on device"), Path("x")), ConfigurationError)
