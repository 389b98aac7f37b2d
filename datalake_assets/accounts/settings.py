"""Everything the environment decides, read in one place and checked at start.

AWS itself is configured by the SDK's own variables (`AWS_ENDPOINT_URL`, `AWS_PROFILE`, …); nothing here repeats them.
"""

from functools import cache
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from datalake_assets.errors import ConfigurationError

PostgresUrl = Annotated[str, StringConstraints(pattern=r"^postgresql\+psycopg2://")]


class Settings(BaseSettings):
    """The platform's environment: each field is the variable `DATALAKE_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="DATALAKE_", frozen=True)

    database_url: PostgresUrl
    """The platform database, which holds the arrival ledger and the alert outbox."""
    download_threads: Annotated[int, Field(ge=1, le=64)] = 8
    """Parallel S3 transfers of one run."""
    memory_limit: Annotated[str, StringConstraints(pattern=r"^\d+(MB|GB)$")] = "1GB"
    """What DuckDB may use in one run before it spills to disk."""
    ui_url: str = "http://127.0.0.1:3000"
    """Where alerts and commands point people to."""


@cache
def settings() -> Settings:
    """The settings of this process.

    Raises:
        ConfigurationError: a variable is missing or wrong; the message names each and what it should be.
    """
    try:
        return Settings()
    except ValidationError as error:
        mistakes = "; ".join(
            f"DATALAKE_{'_'.join(map(str, problem['loc'])).upper()}: {problem['msg']}" for problem in error.errors()
        )
        raise ConfigurationError(
            f"the environment is not complete: {mistakes}",
            todo="`datalake sandbox start` prints all variables for the sandbox (`datalake sandbox env`)",
        ) from error
