"""A tree of its own for each test: a copy of the registry and the workspace, and the folder of one account."""

import shutil
from pathlib import Path

import pytest

from datalake_assets import project
from datalake_assets.components.authoring.tree import Tree

WORKSPACE = """\
# The code locations.
load_from:
  - python_module: {module_name: datalake_assets.definitions, attribute: flights, location_name: flights}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    folder = tmp_path / "tree"
    (folder / "locations" / "flights").mkdir(parents=True)
    (folder / "locations" / "flights" / "__init__.py").touch()
    shutil.copyfile(project.REGISTRY, folder / "registry.yaml")
    (folder / "workspace.yaml").write_text(WORKSPACE, encoding="utf-8")
    return Tree(folder / "locations", folder / "registry.yaml", folder / "workspace.yaml")


def everything(tree: Tree) -> dict[str, str]:
    """Every file of the tree and what it holds."""
    root = tree.locations.parent
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}
