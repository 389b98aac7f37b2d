"""What a `defs.yaml` of type CrawlAsset may say: what to crawl, when, and what becomes of what is found."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from datalake_assets.components.words.base import Identifier, JobName
from datalake_assets.components.words.owners import Owner

MAX_SAMPLE_BYTES = 1024 * 1024 * 1024
_PASSWORD = re.compile(r"[a-z0-9+]+://[^/@]*:[^/@]+@", re.IGNORECASE)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_cron(value: Any) -> Any:
    return {"cron": value} if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_as_list, json_schema_input_type=str | list[str])]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class CrawlSchedule(_Part):
    """When a crawl runs by itself."""

    cron: str = Field(description="Five fields, as in `0 5 * * *`.")
    time_zone: str = Field(default="UTC", description="IANA name of the zone that the fields are in.")

    @field_validator("cron")
    @classmethod
    def _is_a_cron_schedule(cls, value: str) -> str:
        from dagster._utils.schedules import is_valid_cron_string

        if not is_valid_cron_string(value):
            raise ValueError("not a cron schedule; expected minute, hour, day, month and weekday, as in `0 5 * * *`")
        return value

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        from datalake_assets.mapping.moments import known_time_zone

        return known_time_zone(value)


class CrawlSpec(_Part):
    """The attributes of a CrawlAsset: unknown files become tables of the catalog, again and again."""

    name: JobName
    description: str | None = None
    owner: Owner = Field(description="`team:NAME` or an e-mail address: whom alerts name and the UI shows.")
    uris: Annotated[Texts, Field(min_length=1)] = Field(
        description="Prefixes, folders, databases or DynamoDB tables, as `datalake crawl` takes them."
    )
    schedule: Annotated[CrawlSchedule, BeforeValidator(_as_cron)] | None = Field(
        default=None, description="A cron schedule; without it the asset is materialized by hand."
    )
    crawler: Literal["datalake", "glue"] = Field(
        default="datalake", description="Who crawls: the platform itself or an AWS Glue crawler."
    )
    classifiers: str | None = Field(default=None, description="YAML file of own classifiers, beside this one.")
    exclude: Texts = Field(default=(), description="Patterns of keys that are left out.")
    table_level: int | None = Field(default=None, ge=1, description="Which folder of the path is a table, from 1.")
    sample_files: int | None = Field(default=None, ge=1, description="How many files of a table are read.")
    sample_bytes: int | None = Field(default=None, ge=1, le=MAX_SAMPLE_BYTES, description="How much of each file.")
    register_tables: bool = Field(default=True, alias="register", description="Write what is found to the catalog.")
    database: Identifier | None = Field(default=None, description="Glue database; the account's own by default.")
    policy: Literal["update", "add_columns", "report"] = Field(
        default="update", description="What a later crawl may change: all, only add columns, or nothing."
    )
    deleted: Literal["keep", "deprecate", "remove"] = Field(
        default="keep", description="What becomes of tables and partitions whose files are gone."
    )

    @field_validator("uris")
    @classmethod
    def _hold_no_secret(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for uri in value:
            if _PASSWORD.match(uri):
                # The text of the URI is not repeated: a message is no place for a password either.
                raise ValueError("a URI holds a password; leave it away, it comes from the environment")
        if len(set(value)) != len(value):
            raise ValueError("a URI stands here twice")
        return value

    @field_validator("classifiers")
    @classmethod
    def _lies_beside(cls, value: str | None) -> str | None:
        if value is not None and (value.startswith("/") or ".." in value.split("/")):
            raise ValueError("the classifiers are a file beside the defs.yaml, such as classifiers.yaml")
        return value
