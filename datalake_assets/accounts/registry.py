"""The account registry: read once from registry.yaml, validated, with the file's line in every complaint."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from datalake_assets.errors import ConfigurationError
from datalake_assets.project import REGISTRY

REGISTRY_PATH = REGISTRY

AccountId = Annotated[str, StringConstraints(pattern=r"^\d{12}$")]
Region = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
# The S3 bucket naming rules, without the dots that break virtual-hosted HTTPS.
BucketName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$")]
RoleArn = Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+$")]
LocationName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
TableName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]
# What sts:ExternalId takes.
ExternalId = Annotated[str, StringConstraints(min_length=2, max_length=1224, pattern=r"^[A-Za-z0-9_+=,.@:/-]+$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Account(_Entry):
    """One AWS account, which is one code location."""

    name: LocationName = ""
    id: AccountId
    role: RoleArn
    regions: Annotated[tuple[Region, ...], Field(min_length=1)]
    raw_bucket: BucketName
    lake_bucket: BucketName
    arrivals_queue: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,80}$")]
    glue_database: Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]
    warehouse_secret: Annotated[str, StringConstraints(min_length=1)]
    external_id: ExternalId | None = None
    """What the platform says when it assumes the role, if the account's trust policy asks for it."""
    grants: dict[TableName, tuple[LocationName, ...]] = {}
    """Lake tables of this account that other accounts may read: table to the locations that may."""

    def __hash__(self) -> int:
        return hash(self.id)  # `grants` has no hash of its own

    @property
    def region(self) -> str:
        """The home region, where the queue, the catalog and the primary copy of the lake are."""
        return self.regions[0]

    @model_validator(mode="after")
    def _role_belongs_to_the_account(self) -> "Account":
        if self.role.split(":")[4] != self.id:
            raise ValueError(f"role {self.role} is not of account {self.id}")
        return self


class Platform(_Entry):
    """The account that the platform itself runs in; its credentials assume the accounts' roles."""

    id: AccountId
    region: Region
    alerts_secret: str


class _File(_Entry):
    platform: Platform
    accounts: dict[LocationName, Account]

    @model_validator(mode="before")
    @classmethod
    def _name_the_accounts(cls, data: Any) -> Any:
        accounts = data.get("accounts") if isinstance(data, dict) else None
        if isinstance(accounts, dict):
            named = {key: {**entry, "name": key} for key, entry in accounts.items() if isinstance(entry, dict)}
            return {**data, "accounts": {**accounts, **named}}
        return data

    @model_validator(mode="after")
    def _nothing_is_shared(self) -> "_File":
        for field in ("id", "raw_bucket", "lake_bucket"):
            seen: dict[str, str] = {}
            for name, account in self.accounts.items():
                value = getattr(account, field)
                if value in seen:
                    raise ValueError(f"{field} {value!r} belongs to both {seen[value]!r} and {name!r}")
                seen[value] = name
        return self

    @model_validator(mode="after")
    def _grants_name_other_accounts(self) -> "_File":
        for name, account in self.accounts.items():
            for table, readers in account.grants.items():
                for reader in readers:
                    if reader == name:
                        raise ValueError(f"{name}.grants.{table} names {name!r} itself, which reads its own tables")
                    if reader not in self.accounts:
                        known = ", ".join(sorted(self.accounts))
                        raise ValueError(f"{name}.grants.{table}: no account {reader!r}; expected one of {known}")
        return self


@dataclass(frozen=True)
class Registry:
    """All accounts of the platform by the name of their location."""

    platform: Platform
    accounts: dict[str, Account]

    def account(self, name_or_id: str) -> Account:
        """Return the account with this location name or twelve-digit id.

        Raises:
            ConfigurationError: no such account; the message lists the known ones.
        """
        for account in self.accounts.values():
            if name_or_id in (account.name, account.id):
                return account
        raise ConfigurationError(
            f"account {name_or_id!r} is not in the registry",
            where=str(REGISTRY_PATH.name),
            expected="one of " + ", ".join(sorted(self.accounts)),
        )

    def __iter__(self) -> Iterator[Account]:
        return iter(self.accounts.values())


def load_registry(path: Path = REGISTRY_PATH) -> Registry:
    """Read and validate the registry.

    Raises:
        ConfigurationError: the file is missing, is not YAML or breaks a rule; one line for each mistake.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        # libyaml reads thousands of grants in a tenth of the time that plain Python takes.
        data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        parsed = _File.model_validate(data)
    except FileNotFoundError as error:
        raise ConfigurationError("the account registry is missing", where=str(path)) from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"the account registry is not YAML: {error}", where=str(path)) from error
    except ValidationError as error:
        mistakes = "\n".join(
            f"  {_line_of(text, problem['loc'])}{'.'.join(map(str, problem['loc']))}: {problem['msg']}, "
            f"found {problem['input']!r}"
            for problem in error.errors()
        )
        raise ConfigurationError(f"the account registry has mistakes:\n{mistakes}", where=path.name) from error
    return Registry(parsed.platform, parsed.accounts)


def _line_of(text: str, location: tuple[int | str, ...]) -> str:
    """Find the line of a nested key: good enough for a file of plain nested mappings."""
    lines, start = text.splitlines(), 0
    found = 0
    for part in location:
        for number in range(start, len(lines)):
            if re.match(rf"\s*{re.escape(str(part))}\s*:", lines[number]):
                start, found = number + 1, number + 1
                break
    return f"line {found}: " if found else ""


@cache
def registry() -> Registry:
    """The registry of this process."""
    return load_registry()
