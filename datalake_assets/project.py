"""Where the parts of the project lie on disk.

The folder of the locations and the account registry can be others, named by the environment: an organisation keeps its
own beside the platform, and a test or a benchmark plays with accounts that do not exist.
"""

import os
from pathlib import Path

LOCATIONS_VARIABLE = "DATALAKE_LOCATIONS"
REGISTRY_VARIABLE = "DATALAKE_REGISTRY"
WORKSPACE_VARIABLE = "DATALAKE_WORKSPACE"

_PACKAGE = Path(__file__).resolve().parent


def _path(variable: str, default: Path) -> Path:
    return Path(named).resolve() if (named := os.environ.get(variable)) else default


PROJECT_ROOT = _PACKAGE.parent
LOCATIONS_FOLDER = _path(LOCATIONS_VARIABLE, _PACKAGE / "locations")
REGISTRY = _path(REGISTRY_VARIABLE, _PACKAGE / "accounts" / "registry.yaml")
WORKSPACE = _path(WORKSPACE_VARIABLE, PROJECT_ROOT / "workspace.yaml")
DBT_PROJECT = PROJECT_ROOT / "dbt_project"
INSTANCE_CONFIG = PROJECT_ROOT / "deploy" / "dagster.yaml"
