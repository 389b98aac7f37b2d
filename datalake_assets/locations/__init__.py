"""What runs: one folder per account, one folder per pipeline inside."""

from datalake_assets.project import LOCATIONS_FOLDER

# The folder may be another one than this: see `project`.
__path__ = [str(LOCATIONS_FOLDER)]
