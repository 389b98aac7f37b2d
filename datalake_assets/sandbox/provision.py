"""What the registry says each account has, made in the sandbox's AWS; repeating it changes nothing.

Everything is done with credentials of the account itself, of the administrator's role that AWS Organizations makes in
every account, so that what lands where is what a deployment would see. Who may do what comes from `accounts.policies`.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from datalake_assets.accounts.policies import (
    DEAD_LETTERS_SUFFIX,
    Policy,
    catalog_policy,
    lake_bucket_policy,
    queue_policy,
    role_policy,
    trust_policy,
)
from datalake_assets.accounts.registry import Account, Registry

if TYPE_CHECKING:
    import boto3

REVISION = 2  # raised when this module makes something else of the same registry

VISIBILITY_SECONDS = 120  # longer than a sensor's tick takes from receiving to deleting
MAX_RECEIVES = 5
RETENTION_SECONDS = 14 * 24 * 3600
EVENTS = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
SERVICES = ("s3", "sqs", "glue", "iam", "secretsmanager")
ADMINISTRATOR = "OrganizationAccountAccessRole"
INLINE_POLICY = "datalake"


def fingerprint(registry: Registry, warehouse: Mapping[str, object], webhook_url: str) -> str:
    """What decides the outcome: while it is the same, there is nothing to do again."""
    accounts = [account.model_dump() for account in registry]
    content = [REVISION, registry.platform.model_dump(), accounts, dict(warehouse), webhook_url]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def warm_session() -> "boto3.Session":
    """A session that has read the services' descriptions from disk: work that can be done before a server answers."""
    import boto3

    session = boto3.Session(region_name="us-east-1")
    for service in ("sts", *SERVICES):
        session.client(service, aws_access_key_id="none", aws_secret_access_key="none")  # type: ignore[call-overload]
    return session


def provision(
    registry: Registry,
    environment: Mapping[str, str],
    warehouse: Mapping[str, object],
    webhook_url: str,
    core: "boto3.Session",
) -> None:
    """Make every account's buckets, queues, notification, role, Glue database and secrets.

    Args:
        registry: which accounts have what.
        environment: the sandbox's `AWS_*` variables.
        warehouse: the warehouse secret's content.
        webhook_url: where alerts go.
        core: makes all clients, so that each service's description is read once.
    """
    import botocore.config

    config = botocore.config.Config(retries={"mode": "standard", "max_attempts": 3}, max_pool_connections=8)
    endpoint = environment["AWS_ENDPOINT_URL"]
    platform = {
        "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
    }

    def client(service: str, region: str, credentials: Mapping[str, str]) -> Any:
        return core.client(  # type: ignore[call-overload]
            service, region_name=region, endpoint_url=endpoint, config=config, **credentials
        )

    sts = client("sts", registry.platform.region, platform)
    # Sessions are not safe to make clients in parallel: make them here, use them in threads.
    work: list[Callable[[], None]] = []
    secrets = client("secretsmanager", registry.platform.region, platform)
    work.append(lambda: _secret(secrets, registry.platform.alerts_secret, {"webhook_url": webhook_url}))
    for account in registry:
        administrator = f"arn:aws:iam::{account.id}:role/{ADMINISTRATOR}"
        found = sts.assume_role(RoleArn=administrator, RoleSessionName="datalake-sandbox")["Credentials"]
        credentials = {
            "aws_access_key_id": found["AccessKeyId"],
            "aws_secret_access_key": found["SecretAccessKey"],
            "aws_session_token": found["SessionToken"],
        }
        s3, sqs, glue, iam, own_secrets = (client(service, account.region, credentials) for service in SERVICES)
        work += [
            lambda s3=s3, sqs=sqs, account=account: _buckets_and_queue(s3, sqs, account, registry),  # type: ignore[misc]
            lambda glue=glue, account=account: _database(glue, account, registry),  # type: ignore[misc]
            lambda iam=iam, account=account: _role(iam, account, registry),  # type: ignore[misc]
            lambda own=own_secrets, account=account: _secret(own, account.warehouse_secret, warehouse),  # type: ignore[misc]
        ]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(each) for each in work]:
            done.result()


def _buckets_and_queue(s3: Any, sqs: Any, account: Account, registry: Registry) -> None:
    for bucket in (account.raw_bucket, account.lake_bucket):
        _bucket(s3, bucket, account.region)
    if policy := lake_bucket_policy(account, registry):
        s3.put_bucket_policy(Bucket=account.lake_bucket, Policy=_text(policy))
    else:
        s3.delete_bucket_policy(Bucket=account.lake_bucket)
    queue_arn = _queue(sqs, account)
    wanted = [{"Id": "arrivals", "QueueArn": queue_arn, "Events": EVENTS}]
    found = s3.get_bucket_notification_configuration(Bucket=account.raw_bucket).get("QueueConfigurations")
    # Setting it sends a test event into the queue: only when there is something to set.
    if found != wanted:
        s3.put_bucket_notification_configuration(
            Bucket=account.raw_bucket, NotificationConfiguration={"QueueConfigurations": wanted}
        )


def _bucket(s3: Any, name: str, region: str) -> None:
    # The one region that must not be named is the API's own default.
    location = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        s3.create_bucket(Bucket=name, **location)
    except s3.exceptions.BucketAlreadyOwnedByYou:
        return


def _queue(sqs: Any, account: Account) -> str:
    name = account.arrivals_queue
    common = {"MessageRetentionPeriod": str(RETENTION_SECONDS)}
    sqs.create_queue(QueueName=name + DEAD_LETTERS_SUFFIX, Attributes=common)
    prefix = f"arn:aws:sqs:{account.region}:{account.id}:{name}"
    redrive = {"deadLetterTargetArn": prefix + DEAD_LETTERS_SUFFIX, "maxReceiveCount": MAX_RECEIVES}
    sqs.create_queue(
        QueueName=name,
        Attributes={
            **common,
            "VisibilityTimeout": str(VISIBILITY_SECONDS),
            "RedrivePolicy": json.dumps(redrive),
            "Policy": _text(queue_policy(account)),
        },
    )
    return prefix


def _database(glue: Any, account: Account, registry: Registry) -> None:
    with contextlib.suppress(glue.exceptions.AlreadyExistsException):
        glue.create_database(DatabaseInput={"Name": account.glue_database})
    if policy := catalog_policy(account, registry):
        glue.put_resource_policy(PolicyInJson=_text(policy))
    else:
        with contextlib.suppress(glue.exceptions.EntityNotFoundException):
            glue.delete_resource_policy()


def _role(iam: Any, account: Account, registry: Registry) -> None:
    path, _, name = account.role.split(":role", 1)[1].rpartition("/")
    trust = _text(trust_policy(account, registry))
    try:
        iam.create_role(RoleName=name, Path=f"{path}/", AssumeRolePolicyDocument=trust)
    except iam.exceptions.EntityAlreadyExistsException:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust)
    iam.put_role_policy(RoleName=name, PolicyName=INLINE_POLICY, PolicyDocument=_text(role_policy(account, registry)))


def _text(policy: Policy) -> str:
    return json.dumps(policy)


def _secret(secrets: Any, name: str, content: Mapping[str, object]) -> None:
    text = json.dumps(content)
    try:
        if secrets.get_secret_value(SecretId=name)["SecretString"] != text:
            secrets.put_secret_value(SecretId=name, SecretString=text)
    except secrets.exceptions.ResourceNotFoundException:
        secrets.create_secret(Name=name, SecretString=text)
