"""What one account gets of another in the sandbox: what a policy of the owner says, as on AWS, and nothing else."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from datalake_assets.accounts.registry import registry
from datalake_assets.accounts.sessions import AccountSession, session
from datalake_assets.errors import AccessDenied
from datalake_assets.sandbox.aws.policy import allows
from datalake_assets.sandbox.sandbox import Sandbox
from tests.sandbox.conftest import Aws

OWNER, READER, STRANGER = "core_data", "rent_journey", "content"


@pytest.fixture(scope="module")
def listings(sandbox: Sandbox) -> Iterator[dict[str, Any]]:
    """A partition of a granted table, and one of a table that is not granted, as a pipeline would publish them."""
    own = session(OWNER)
    account, s3, glue = own.account, own.client("s3"), own.client("glue")
    names = ("listings", "agencies")
    for name in names:
        with suppress(glue.exceptions.EntityNotFoundException):  # of tests that share this sandbox
            glue.delete_table(DatabaseName=account.glue_database, Name=name)
        s3.put_object(Bucket=account.lake_bucket, Key=f"{name}/dt=2026-01-01/v=1/part-00000.parquet", Body=b"x")
        columns = {"Columns": [{"Name": "id", "Type": "bigint"}], "Location": f"s3://{account.lake_bucket}/{name}/"}
        keys = [{"Name": "dt", "Type": "date"}]
        table: Any = {"Name": name, "StorageDescriptor": columns, "PartitionKeys": keys}
        glue.create_table(DatabaseName=account.glue_database, TableInput=table)
        partition: Any = {"Values": ["2026-01-01"], "StorageDescriptor": columns}
        glue.create_partition(DatabaseName=account.glue_database, TableName=name, PartitionInput=partition)
    yield {"CatalogId": account.id, "DatabaseName": account.glue_database}
    for name in names:
        glue.delete_table(DatabaseName=account.glue_database, Name=name)
        s3.delete_object(Bucket=account.lake_bucket, Key=f"{name}/dt=2026-01-01/v=1/part-00000.parquet")


def key(table: str) -> str:
    return f"{table}/dt=2026-01-01/v=1/part-00000.parquet"


def test_a_reader_sees_a_granted_table_in_the_owners_catalog(listings: dict[str, Any]) -> None:
    glue = session(READER).client("glue")
    assert glue.get_table(**listings, Name="listings")["Table"]["CatalogId"] == registry().account(OWNER).id
    partitions = glue.get_partitions(**listings, TableName="listings")["Partitions"]
    assert [partition["Values"] for partition in partitions] == [["2026-01-01"]]
    wanted: Any = [{"Values": ["2026-01-01"]}]
    assert glue.batch_get_partition(**listings, TableName="listings", PartitionsToGet=wanted)["Partitions"]


@pytest.mark.parametrize("reader", [READER, STRANGER])
def test_nobody_sees_a_table_that_was_not_granted(listings: dict[str, Any], reader: str) -> None:
    glue = session(reader).client("glue")
    with pytest.raises(ClientError, match="AccessDenied"):
        glue.get_table(**listings, Name="agencies")
    with pytest.raises(ClientError, match="AccessDenied"):
        glue.get_tables(**listings)


def test_a_grant_to_one_account_is_none_to_another(listings: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        session(STRANGER).client("glue").get_table(**listings, Name="listings")
    bucket = registry().account(OWNER).lake_bucket
    with pytest.raises(ClientError, match="AccessDenied"):
        session(STRANGER).client("s3").get_object(Bucket=bucket, Key=key("listings"))


def test_a_reader_changes_nothing_in_the_owners_catalog(listings: dict[str, Any]) -> None:
    glue = session(READER).client("glue")
    with pytest.raises(ClientError, match="glue:DeleteTable"):
        glue.delete_table(**listings, Name="listings")
    with pytest.raises(ClientError, match="glue:UpdateTable"):
        glue.update_table(**listings, TableInput={"Name": "listings"})


def test_without_a_catalog_an_account_looks_into_its_own(listings: dict[str, Any]) -> None:
    glue = session(READER).client("glue")
    with pytest.raises(ClientError, match="EntityNotFound"):
        glue.get_table(DatabaseName=listings["DatabaseName"], Name="listings")


def test_objects_are_read_below_the_granted_prefix_only(listings: dict[str, Any]) -> None:
    s3, bucket = session(READER).client("s3"), registry().account(OWNER).lake_bucket
    assert s3.get_object(Bucket=bucket, Key=key("listings"))["Body"].read() == b"x"
    assert s3.head_object(Bucket=bucket, Key=key("listings"))["ContentLength"] == 1
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.get_object(Bucket=bucket, Key=key("agencies"))
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="listings/dt=2026-01-01/")
    assert [item["Key"] for item in listed["Contents"]] == [key("listings")]
    for prefix in ("agencies/", "", "listings"):
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.list_objects_v2(Bucket=bucket, Prefix=prefix)


def test_a_reader_writes_and_deletes_nothing_of_the_owner(listings: dict[str, Any]) -> None:
    s3, bucket = session(READER).client("s3"), registry().account(OWNER).lake_bucket
    refused: list[Any] = [
        lambda: s3.put_object(Bucket=bucket, Key=key("listings"), Body=b"other"),
        lambda: s3.delete_object(Bucket=bucket, Key=key("listings")),
        lambda: s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key("listings")}]}),
        lambda: s3.put_bucket_policy(Bucket=bucket, Policy="{}"),
        lambda: s3.create_multipart_upload(Bucket=bucket, Key=key("listings")),
    ]
    for call in refused:
        with pytest.raises(ClientError, match="AccessDenied"):
            call()
    assert session(OWNER).client("s3").get_object(Bucket=bucket, Key=key("listings"))["Body"].read() == b"x"


def test_a_copy_reads_its_source_with_the_same_grants(listings: dict[str, Any]) -> None:
    s3, own = session(READER).client("s3"), registry().account(READER).lake_bucket
    bucket = registry().account(OWNER).lake_bucket
    s3.copy_object(Bucket=own, Key="copied", CopySource={"Bucket": bucket, "Key": key("listings")})
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.copy_object(Bucket=own, Key="stolen", CopySource={"Bucket": bucket, "Key": key("agencies")})
    s3.delete_object(Bucket=own, Key="copied")


def test_a_role_is_taken_with_its_external_id_only(sandbox: Sandbox) -> None:
    account = registry().account(OWNER)
    assert account.external_id
    for wrong in (None, "datalake-other"):
        other = AccountSession(account.model_copy(update={"external_id": wrong}))
        with pytest.raises(AccessDenied, match="cannot be assumed"):
            other.client("s3").list_buckets()
    assert AccountSession(account).client("sts").get_caller_identity()["Account"] == account.id


def test_an_account_cannot_become_another(sandbox: Sandbox) -> None:
    account = registry().account(OWNER)
    with pytest.raises(ClientError, match="AccessDenied"):
        session(READER).client("sts").assume_role(
            RoleArn=account.role, RoleSessionName="tests", ExternalId=account.external_id or ""
        )


def test_roles_have_the_policies_of_the_registry(sandbox: Sandbox) -> None:
    import boto3

    from datalake_assets.accounts.policies import role_policy

    account = registry().account(READER)
    sts = boto3.client("sts")
    administrator = f"arn:aws:iam::{account.id}:role/OrganizationAccountAccessRole"
    found = sts.assume_role(RoleArn=administrator, RoleSessionName="tests")["Credentials"]
    iam = boto3.client(
        "iam",
        aws_access_key_id=found["AccessKeyId"],
        aws_secret_access_key=found["SecretAccessKey"],
        aws_session_token=found["SessionToken"],
    )
    name = account.role.rpartition("/")[2]
    shown = iam.get_role_policy(RoleName=name, PolicyName="datalake")["PolicyDocument"]
    assert shown == role_policy(account, registry())


def test_grants_survive_a_stop_and_a_start(aws: Aws) -> None:
    owner, guest = "111111111111", "222222222222"
    glue = aws.client("glue", owner)
    glue.create_database(DatabaseInput={"Name": "shared"})
    glue.create_table(DatabaseName="shared", TableInput={"Name": "t"})
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{guest}:role/tests"},
        "Action": ["glue:GetTable"],
        "Resource": [
            f"arn:aws:glue:eu-central-1:{owner}:{part}" for part in ("catalog", "database/*", "table/shared/*")
        ],
    }
    glue.put_resource_policy(PolicyInJson=json.dumps({"Statement": [statement]}))
    aws.restart()
    theirs = aws.client("glue", guest)
    assert theirs.get_table(CatalogId=owner, DatabaseName="shared", Name="t")["Table"]["Name"] == "t"
    aws.client("glue", owner).delete_resource_policy()
    aws.restart()
    with pytest.raises(ClientError, match="AccessDenied"):
        aws.client("glue", guest).get_table(CatalogId=owner, DatabaseName="shared", Name="t")


def statement(**more: Any) -> str:
    base = {"Effect": "Allow", "Principal": {"AWS": "1"}, "Action": "s3:Get*", "Resource": "arn:x/*"}
    return json.dumps({"Statement": [base | more]})


def asked(document: str | None, **more: Any) -> bool:
    return allows(document, **({"account": "1", "role": None, "action": "s3:GetObject", "resource": "arn:x/k"} | more))


def test_a_policy_is_read_as_aws_reads_it() -> None:
    assert asked(statement())
    assert asked(statement(Principal="*"))
    assert asked(statement(Principal={"AWS": ["2", "arn:aws:iam::1:root"]}))
    assert asked(statement(Action=["S3:GETOBJECT"]))
    assert not asked(None)
    assert not asked(statement(), account="2")
    assert not asked(statement(), action="s3:PutObject")
    assert not asked(statement(), resource="arn:y/k")
    assert not asked(statement(Resource="arn:[x]/*"))
    assert not asked(statement(Principal={"Service": "s3.amazonaws.com"}))


def test_a_denial_wins_and_an_unknown_condition_never_allows() -> None:
    allow, deny = json.loads(statement())["Statement"], json.loads(statement(Effect="Deny"))["Statement"]
    assert not asked(json.dumps({"Statement": allow + deny}))
    assert not asked(statement(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))
    blocked = json.loads(statement(Effect="Deny", Condition={"Bool": {"aws:SecureTransport": "false"}}))["Statement"]
    assert not asked(json.dumps({"Statement": allow + blocked}))


def test_conditions_on_a_prefix_hold_for_what_is_below_it() -> None:
    document = statement(Condition={"StringLike": {"s3:prefix": ["listings/*"]}})
    assert asked(document, context={"s3:prefix": "listings/dt=1/"})
    assert not asked(document, context={"s3:prefix": "list"})
    assert not asked(document)
