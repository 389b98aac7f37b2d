"""Secrets by name from the account's Secrets Manager; their values never reach a log or a message."""

import json
from functools import cache
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.accounts.registry import registry
from datalake_assets.accounts.sessions import client_config, session
from datalake_assets.errors import ConfigurationError

SecretModel = TypeVar("SecretModel", bound=BaseModel)


class WarehouseSecret(BaseModel):
    """Where the warehouse is and who connects: the keys that AWS itself uses for Redshift secrets."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    host: str
    port: int = 5439
    dbname: str
    username: str
    password: SecretStr
    ssl: bool = True


class AlertsSecret(BaseModel):
    """Where alerts go: a Slack-compatible incoming webhook."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    webhook_url: SecretStr


@cache
def warehouse_secret(location: str) -> WarehouseSecret:
    """The warehouse of a location's account."""
    account = registry().account(location)
    client = session(location).client("secretsmanager")
    return _read(client, account.warehouse_secret, WarehouseSecret, owner=f"account {account.name}")


class SaltSecret(BaseModel):
    """What masked texts are hashed with."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    salt: SecretStr


@cache
def salt(location: str, name: str) -> str:
    """The salt in a secret of a location's account."""
    account = registry().account(location)
    client = session(location).client("secretsmanager")
    return _read(client, name, SaltSecret, owner=f"account {account.name}").salt.get_secret_value()


@cache
def alerts_secret() -> AlertsSecret:
    """The platform's own channel for alerts."""
    import boto3

    platform = registry().platform
    client = boto3.client("secretsmanager", region_name=platform.region, config=client_config())
    return _read(client, platform.alerts_secret, AlertsSecret, owner="the platform's account")


def _read(client: object, name: str, model: type[SecretModel], *, owner: str) -> SecretModel:
    where = f"secret {name} of {owner}"
    with aws_errors(where):
        # A secret of bytes has no string.
        text = client.get_secret_value(SecretId=name).get("SecretString", "")  # type: ignore[attr-defined]
    try:
        return model.model_validate(json.loads(text))
    except (ValidationError, ValueError) as error:
        # The validation error would quote the value: only the names of the wrong fields may be told.
        fields = ", ".join(model.model_fields)
        wrong = (
            ", ".join(".".join(map(str, e["loc"])) for e in error.errors())
            if isinstance(error, ValidationError)
            else ""
        )
        raise ConfigurationError(
            f"the secret is not as expected{f' (wrong or missing: {wrong})' if wrong else ''}",
            where=where,
            expected=f"a JSON object with {fields}",
            todo="Put the right value into Secrets Manager",
        ) from None
