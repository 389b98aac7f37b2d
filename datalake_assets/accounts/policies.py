"""Least privilege, said once: what the registry and its grants come to as IAM, S3, Glue and SQS policies.

The sandbox puts these policies on its roles, buckets, catalogs and queues, and a deployment puts the same ones on those
of AWS. All are plain dicts in the form that the services take as JSON; nothing here calls anything.

    platform     may assume the roles of the accounts, and read its own secret
    role         reads its raw bucket; owns its lake, catalog and queue; reads what others granted
    lake bucket  lets each reader read below the prefixes of the tables granted to it
    catalog      lets each reader see the definition and the partitions of these tables

A read over accounts needs both ends: the reader's role policy and the owner's bucket and catalog policies.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from datalake_assets.accounts.grants import granted_to
from datalake_assets.accounts.registry import Account, Registry
from datalake_assets.errors import ConfigurationError

Policy = dict[str, Any]

VERSION = "2012-10-17"
READ_OBJECTS = ("s3:GetObject", "s3:GetObjectVersion")
WRITE_OBJECTS = ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject")
LIST = ("s3:ListBucket",)
READ_CATALOG = (
    "glue:BatchGetPartition",
    "glue:GetDatabase",
    "glue:GetPartition",
    "glue:GetPartitions",
    "glue:GetTable",
)
OWN_CATALOG = (
    "glue:BatchCreatePartition",
    "glue:BatchDeletePartition",
    "glue:BatchGetPartition",
    "glue:BatchUpdatePartition",
    "glue:CreateTable",
    "glue:DeleteTable",
    "glue:GetDatabase",
    "glue:GetPartition",
    "glue:GetPartitions",
    "glue:GetTable",
    "glue:GetTables",
    "glue:UpdateTable",
)
USE_QUEUE = ("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ReceiveMessage")
DEAD_LETTERS_SUFFIX = "-dead-letters"
SECRETS_PREFIX = "datalake/"
# AWS: 20 KB a bucket policy, 10 KB a Glue resource policy.
MAX_BUCKET_POLICY_BYTES, MAX_CATALOG_POLICY_BYTES = 20 * 1024, 10 * 1024


def trust_policy(account: Account, accounts: Registry) -> Policy:
    """Who may take the account's role: the platform, with the external id if there is one, and Redshift for COPY."""
    platform: dict[str, Any] = {
        "Sid": "Platform",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{accounts.platform.id}:root"},
        "Action": "sts:AssumeRole",
    }
    if account.external_id:
        platform["Condition"] = {"StringEquals": {"sts:ExternalId": account.external_id}}
    redshift = {
        "Sid": "RedshiftCopies",
        "Effect": "Allow",
        "Principal": {"Service": "redshift.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": account.id}},
    }
    return _policy([platform, redshift])


def role_policy(account: Account, accounts: Registry) -> Policy:
    """What the account's role may do: with its own things, and with the tables that others granted to it."""
    queue = _queue(account)
    raw, lake = f"arn:aws:s3:::{account.raw_bucket}", f"arn:aws:s3:::{account.lake_bucket}"
    statements = [
        _allow("ListOwnBuckets", LIST, [raw, lake]),
        _allow("ReadRaw", READ_OBJECTS, [f"{raw}/*"]),
        _allow("OwnLake", WRITE_OBJECTS, [f"{lake}/*"]),
        _allow(
            "OwnCatalog",
            OWN_CATALOG,
            [arn for region in account.regions for arn in (*_database(account, region), _table(account, region, "*"))],
        ),
        _allow("OwnArrivals", USE_QUEUE, [queue, queue + DEAD_LETTERS_SUFFIX]),
        # The warehouse's, and the salts of masked columns; Secrets Manager adds six characters to each name.
        _allow(
            "OwnSecrets",
            ["secretsmanager:GetSecretValue"],
            [f"arn:aws:secretsmanager:{account.region}:{account.id}:secret:{SECRETS_PREFIX}*"],
        ),
    ]
    for owner, tables in _granted(account, accounts):
        statements += _reading(owner, tables)
        statements.append(_cataloged(owner, tables))
    return _policy(statements)


def lake_bucket_policy(account: Account, accounts: Registry) -> Policy | None:
    """Who else may read below which prefixes of the account's lake bucket; None if nothing is granted.

    Raises:
        ConfigurationError: the policy is longer than S3 takes.
    """
    statements = []
    for reader, tables in _readers(account, accounts):
        principal = {"Principal": {"AWS": reader.role}}
        statements += [
            each | principal | {"Sid": f"{each['Sid']}For{_camel(reader.name)}"} for each in _reading(account, tables)
        ]
    return _within(MAX_BUCKET_POLICY_BYTES, f"bucket {account.lake_bucket}", statements)


def catalog_policy(account: Account, accounts: Registry) -> Policy | None:
    """Who else may see which tables of the account's Glue catalog; None if nothing is granted.

    Raises:
        ConfigurationError: the policy is longer than Glue takes.
    """
    statements = []
    for reader, tables in _readers(account, accounts):
        found = _cataloged(account, tables)
        statements.append(found | {"Sid": f"{found['Sid']}For{_camel(reader.name)}", "Principal": {"AWS": reader.role}})
    return _within(MAX_CATALOG_POLICY_BYTES, f"catalog of {account.name}", statements)


def queue_policy(account: Account) -> Policy:
    """Who may send into the account's arrival queue: S3, for the raw bucket."""
    statement = _allow("Bucket", ["sqs:SendMessage"], [_queue(account)])
    return _policy(
        [
            statement
            | {
                "Principal": {"Service": "s3.amazonaws.com"},
                "Condition": {
                    "ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{account.raw_bucket}"},
                    "StringEquals": {"aws:SourceAccount": account.id},
                },
            }
        ]
    )


def platform_policy(accounts: Registry) -> Policy:
    """What the platform itself may do: become each account's role, and read where alerts go."""
    platform = accounts.platform
    return _policy(
        [
            _allow("Accounts", ["sts:AssumeRole"], [account.role for account in accounts]),
            _allow(
                "Alerts",
                ["secretsmanager:GetSecretValue"],
                [f"arn:aws:secretsmanager:{platform.region}:{platform.id}:secret:{platform.alerts_secret}-??????"],
            ),
        ]
    )


def policies_of(account: Account, accounts: Registry) -> dict[str, Policy]:
    """All policies of an account by what they are put on; one that would be empty is left away."""
    found = {
        "trust": trust_policy(account, accounts),
        "role": role_policy(account, accounts),
        "lake bucket": lake_bucket_policy(account, accounts),
        "catalog": catalog_policy(account, accounts),
        "queue": queue_policy(account),
    }
    return {name: policy for name, policy in found.items() if policy is not None}


def _policy(statements: list[dict[str, Any]]) -> Policy:
    return {"Version": VERSION, "Statement": statements}


def _within(limit: int, what: str, statements: list[dict[str, Any]]) -> Policy | None:
    policy = _policy(statements)
    if (size := len(json.dumps(policy, separators=(",", ":")).encode())) > limit:
        raise ConfigurationError(
            f"the policy of the {what} has {size} bytes",
            where="registry.yaml",
            expected=f"at most {limit}, the limit of AWS",
            todo="Grant fewer tables one by one: what many read belongs into an account of its own",
        )
    return policy if statements else None


def _allow(sid: str, actions: Sequence[str], resources: Sequence[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


def _reading(owner: Account, tables: Sequence[str]) -> list[dict[str, Any]]:
    """Reading the objects of these tables: the versions that are published, and their manifests."""
    bucket = f"arn:aws:s3:::{owner.lake_bucket}"
    prefixes = [f"{table}/*" for table in tables]
    return [
        _allow(f"Read{_camel(owner.name)}", ["s3:GetObject"], [f"{bucket}/{prefix}" for prefix in prefixes]),
        _allow(f"List{_camel(owner.name)}", LIST, [bucket]) | {"Condition": {"StringLike": {"s3:prefix": prefixes}}},
    ]


def _cataloged(owner: Account, tables: Sequence[str]) -> dict[str, Any]:
    region = owner.region
    resources = [*_database(owner, region), *(_table(owner, region, table) for table in tables)]
    return _allow(f"Catalog{_camel(owner.name)}", READ_CATALOG, resources)


def _granted(reader: Account, accounts: Registry) -> Iterator[tuple[Account, list[str]]]:
    """Each owner that granted something to the reader, with the tables."""
    for owner, found in groupby(granted_to(reader.name, accounts=accounts), key=itemgetter(0)):
        yield accounts.account(owner), [table for _, table in found]


def _readers(owner: Account, accounts: Registry) -> Iterator[tuple[Account, list[str]]]:
    """Each account that the owner granted something to, with the tables."""
    for name in sorted({reader for readers in owner.grants.values() for reader in readers}):
        yield accounts.account(name), sorted(table for table, readers in owner.grants.items() if name in readers)


def _database(account: Account, region: str) -> list[str]:
    prefix = f"arn:aws:glue:{region}:{account.id}"
    return [f"{prefix}:catalog", f"{prefix}:database/{account.glue_database}"]


def _table(account: Account, region: str, table: str) -> str:
    return f"arn:aws:glue:{region}:{account.id}:table/{account.glue_database}/{table}"


def _queue(account: Account) -> str:
    return f"arn:aws:sqs:{account.region}:{account.id}:{account.arrivals_queue}"


def _camel(name: str) -> str:
    """A statement id takes letters and digits only."""
    return "".join(part.capitalize() for part in name.split("_"))
