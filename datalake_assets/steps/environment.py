"""The variables that a step's program sees: what it needs to know, its own, and no secret of the platform."""

import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.accounts.registry import registry
from datalake_assets.accounts.sessions import session
from datalake_assets.errors import ConfigurationError
from datalake_assets.steps.model import Attempt, SecretValue

# The step acts with its own account's role, never with the platform's credentials, and knows no database of ours.
_KEPT = re.compile(r"AWS_ENDPOINT_URL.*|AWS_CA_BUNDLE|DATALAKE_(LOCATIONS|REGISTRY|WORKSPACE|CLOCK_FILE)")
_DROPPED = re.compile(
    r"(AWS|DATALAKE|DAGSTER|DBT)_.*|.*(PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE_KEY|API_KEY|CREDENTIAL|DATABASE_URL|DSN).*"
)
_NOT_SECRET = re.compile(r"(DATALAKE|DAGSTER|DBT)_.*")


def inherited(environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """What a step's program takes over of the run's environment, and the values that it must not print."""
    passed: dict[str, str] = {}
    hidden: list[str] = []
    for name, value in environment.items():
        if _KEPT.fullmatch(name) or not _DROPPED.fullmatch(name.upper()):
            passed[name] = value
        elif not _NOT_SECRET.fullmatch(name.upper()) or "://" in value:
            hidden.append(value)
    return passed, hidden


def facts(attempt: Attempt) -> dict[str, str]:
    """What a step's program is told about the attempt that it is part of, and about its account."""
    account = registry().account(attempt.location)
    told = {
        "DATALAKE_LOCATION": attempt.location,
        "DATALAKE_PIPELINE": attempt.pipeline,
        "DATALAKE_STEP": attempt.step.name,
        "DATALAKE_ATTEMPT": str(attempt.number),
        "DATALAKE_RUN_ID": attempt.run_id,
        "DATALAKE_ACCOUNT_ID": account.id,
        "DATALAKE_RAW_BUCKET": account.raw_bucket,
        "DATALAKE_LAKE_BUCKET": account.lake_bucket,
        "DATALAKE_GLUE_DATABASE": account.glue_database,
        "AWS_REGION": account.region,
        "AWS_DEFAULT_REGION": account.region,
    }
    if attempt.window is not None:
        begin, end = attempt.window
        told["DATALAKE_PARTITION"] = attempt.partition
        told["DATALAKE_PARTITION_START"] = _iso(begin)
        told["DATALAKE_PARTITION_END"] = _iso(end)
    return told


def own(attempt: Attempt) -> tuple[dict[str, str], list[str]]:
    """The variables that the step declares, secrets read, and the values among them that it must not print.

    Raises:
        ConfigurationError: a secret is not there or has no such key.
        AccessDenied: the account's role may not read it.
    """
    values: dict[str, str] = {}
    hidden: list[str] = []
    for name, value in attempt.step.environment.items():
        if isinstance(value, SecretValue):
            value = _read_secret(attempt, value)
            hidden.append(value)
        values[name] = value
    return values, hidden


def of_step(attempt: Attempt) -> tuple[dict[str, str], list[str]]:
    """All variables of a step's program, and the values that it must not print; raises as `own`."""
    passed, unseen = inherited(os.environ)
    declared, hidden = own(attempt)
    return {**passed, **facts(attempt), **declared}, [*unseen, *hidden]


def _read_secret(attempt: Attempt, value: SecretValue) -> str:
    where = f"{attempt.where}, secret {value.secret}"
    client = session(attempt.location).client("secretsmanager")
    with aws_errors(where):
        text = client.get_secret_value(SecretId=value.secret).get("SecretString", "")
    if value.key is None:
        return text
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or value.key not in found:
        # Neither the secret's text nor its other keys belong into a message.
        raise ConfigurationError(
            f"the secret has no key {value.key!r}",
            where=where,
            expected="a JSON object with this key",
            todo="Put it into the secret, or leave `key` away to get the whole text",
        )
    return str(found[value.key])


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
