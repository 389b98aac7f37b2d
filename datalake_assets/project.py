"""Where the parts of the project lie on disk."""

from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent
LOCATIONS_FOLDER = Path(__file__).resolve().parent / "locations"
DBT_PROJECT = PROJECT_ROOT / "dbt_project"
WORKSPACE = PROJECT_ROOT / "workspace.yaml"
INSTANCE_CONFIG = PROJECT_ROOT / "deploy" / "dagster.yaml"
