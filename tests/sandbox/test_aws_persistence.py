"""What is in the sandbox's AWS survives a stop and a kill, in every detail that boto3 shows."""

import contextlib
import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.conftest import PLATFORM, Aws

_names = itertools.count(1)


def _bucket(aws: Aws, account: str = PLATFORM, *, versioned: bool = False) -> str:
    name = f"bucket-{next(_names)}"
    s3 = aws.client("s3", account)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    if versioned:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def _plain(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def _objects(aws: Aws, bucket: str, account: str = PLATFORM) -> dict[str, Any]:
    """Everything a client can see of a bucket."""
    s3 = aws.client("s3", account)
    seen: dict[str, Any] = {}
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for version in page.get("Versions", []):
            which = {"Bucket": bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
            answer = _plain(s3.get_object(**which))
            answer["Body"] = answer["Body"].read()
            answer["Tags"] = s3.get_object_tagging(**which)["TagSet"]
            seen[f"{version['Key']} {version['VersionId']}"] = (version, answer)
        for marker in page.get("DeleteMarkers", []):
            seen[f"{marker['Key']} {marker['VersionId']}"] = marker
    seen["listed"] = [
        item
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        for item in page.get("Contents", [])
    ]
    return seen


def _catalog(aws: Aws, database: str, account: str = PLATFORM) -> dict[str, Any]:
    """Everything a client can see of a Glue database."""
    glue = aws.client("glue", account)
    seen: dict[str, Any] = {"database": glue.get_database(Name=database)["Database"]}
    for table in glue.get_tables(DatabaseName=database)["TableList"]:
        which = {"DatabaseName": database, "TableName": table["Name"]}
        seen[table["Name"]] = (
            table,
            glue.get_table_versions(**which)["TableVersions"],
            glue.get_partitions(**which)["Partitions"],
        )
    return seen


def _table_input(name: str, **parameters: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Parameters": parameters,
        "PartitionKeys": [{"Name": "dt", "Type": "date"}],
        "StorageDescriptor": {"Columns": [{"Name": "a", "Type": "bigint"}], "Location": "s3://x/y/"},
    }


def _partition_input(value: str, location: str = "s3://x/") -> dict[str, Any]:
    return {"Values": [value], "StorageDescriptor": {"Location": location}, "Parameters": {"rows": "1"}}


def test_an_object_keeps_bytes_metadata_tags_and_time_over_a_kill(aws: Aws) -> None:
    bucket = _bucket(aws)
    s3 = aws.client("s3")
    s3.put_object(
        Bucket=bucket,
        Key="a/ä b+c.csv",
        Body=b"\x00\xff" * 1000,
        ContentType="text/csv",
        Metadata={"made-by": "tests"},
        Tagging="k=v",
        ChecksumAlgorithm="SHA256",
    )
    before = _objects(aws, bucket)
    head = s3.head_object(Bucket=bucket, Key="a/ä b+c.csv", ChecksumMode="ENABLED")
    aws.kill()
    after = s3.head_object(Bucket=bucket, Key="a/ä b+c.csv", ChecksumMode="ENABLED")
    assert _objects(aws, bucket) == before
    assert after["ChecksumSHA256"] == head["ChecksumSHA256"]
    assert after["LastModified"] == head["LastModified"]


def test_all_versions_and_delete_markers_are_kept(aws: Aws) -> None:
    bucket = _bucket(aws, versioned=True)
    s3 = aws.client("s3")
    versions = [s3.put_object(Bucket=bucket, Key="k", Body=bytes([n]))["VersionId"] for n in range(3)]
    s3.delete_object(Bucket=bucket, Key="k", VersionId=versions[1])
    s3.delete_object(Bucket=bucket, Key="k")
    before = _objects(aws, bucket)
    aws.kill()
    assert _objects(aws, bucket) == before
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket=bucket, Key="k")
    assert s3.get_object(Bucket=bucket, Key="k", VersionId=versions[2])["Body"].read() == b"\x02"


def test_deleted_objects_stay_deleted_also_in_bulk(aws: Aws) -> None:
    bucket = _bucket(aws)
    s3 = aws.client("s3")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: s3.put_object(Bucket=bucket, Key=f"k{n:04}", Body=b"x"), range(150)))
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": f"k{n:04}"} for n in range(0, 150, 2)]})
    s3.delete_object(Bucket=bucket, Key="k0001")
    before = _objects(aws, bucket)
    assert len(before["listed"]) == 74
    aws.kill()
    assert _objects(aws, bucket) == before


def test_a_copy_and_a_multipart_upload_are_kept(aws: Aws) -> None:
    bucket = _bucket(aws)
    s3 = aws.client("s3")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="big", Metadata={"m": "1"})["UploadId"]
    which = {"Bucket": bucket, "Key": "big", "UploadId": upload}
    first = s3.upload_part(**which, PartNumber=1, Body=b"a" * 5_242_880)["ETag"]
    # In the middle of the upload: what was acknowledged is there afterwards, and the upload goes on.
    aws.kill()
    second = s3.upload_part(**which, PartNumber=2, Body=b"b")["ETag"]
    parts = [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]
    s3.complete_multipart_upload(**which, MultipartUpload={"Parts": parts})
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "big"})
    before = _objects(aws, bucket)
    aws.kill()
    assert _objects(aws, bucket) == before
    assert s3.head_object(Bucket=bucket, Key="big")["ETag"].endswith('-2"')
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_table_versions_and_partitions_are_kept(aws: Aws) -> None:
    glue = aws.client("glue")
    glue.create_database(DatabaseInput={"Name": "kept"})
    glue.create_table(DatabaseName="kept", TableInput=_table_input("t", v="1"))
    glue.update_table(DatabaseName="kept", TableInput=_table_input("t", v="2"))
    which = {"DatabaseName": "kept", "TableName": "t"}
    values = [f"2013-01-{n:02}" for n in range(1, 32)]
    glue.batch_create_partition(**which, PartitionInputList=[_partition_input(each) for each in values])
    glue.batch_update_partition(
        **which,
        Entries=[
            {"PartitionValueList": [each], "PartitionInput": _partition_input(each, "s3://new/")} for each in values[:5]
        ],
    )
    glue.update_partition(**which, PartitionValueList=["2013-01-06"], PartitionInput=_partition_input("2014-01-01"))
    glue.batch_delete_partition(**which, PartitionsToDelete=[{"Values": [each]} for each in values[20:]])
    before = _catalog(aws, "kept")
    assert len(before["t"][2]) == 20
    aws.kill()
    assert _catalog(aws, "kept") == before


def test_a_table_deleted_and_made_again_has_no_partitions_of_the_old_one(aws: Aws) -> None:
    glue = aws.client("glue")
    for deletion in (
        lambda: glue.delete_table(DatabaseName="again", Name="t"),
        lambda: glue.batch_delete_table(DatabaseName="again", TablesToDelete=["t"]),
        lambda: glue.delete_database(Name="again"),
    ):
        with contextlib.suppress(glue.exceptions.AlreadyExistsException):
            glue.create_database(DatabaseInput={"Name": "again"})
        glue.create_table(DatabaseName="again", TableInput=_table_input("t"))
        glue.create_partition(DatabaseName="again", TableName="t", PartitionInput=_partition_input("2013-01-01"))
        deletion()
    glue.create_database(DatabaseInput={"Name": "again"})
    glue.create_table(DatabaseName="again", TableInput=_table_input("t"))
    aws.kill()
    assert _catalog(aws, "again")["t"][2] == []


def test_messages_are_not_lost_and_deleted_ones_do_not_come_back(aws: Aws) -> None:
    sqs, s3 = aws.client("sqs"), aws.client("s3")
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": 3}}'
    url = sqs.create_queue(QueueName="arrivals", Attributes={"RedrivePolicy": redrive})["QueueUrl"]
    bucket = _bucket(aws)
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn.replace("dead", "arrivals"), "Events": ["s3:ObjectCreated:*"]}]
        },
    )
    aws.restart()
    for n in range(20):
        s3.put_object(Bucket=bucket, Key=f"k{n}", Body=b"x")
    received = []
    while len(received) < 10:
        received += sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    gone = received[:10]
    sqs.delete_message_batch(
        QueueUrl=url, Entries=[{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(gone)]
    )
    aws.kill()
    left: dict[str, str] = {}
    while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        left |= {message["MessageId"]: message["Body"] for message in batch}
    assert len(left) == 21 - 10  # the test event that S3 sends when it is configured is one of them
    assert not left.keys() & {message["MessageId"] for message in gone}
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert arn in attributes["RedrivePolicy"]


def test_secrets_and_sessions_are_kept(aws: Aws) -> None:
    secrets = aws.client("secretsmanager", "111111111111")
    secrets.create_secret(Name="a/b", SecretString="one")
    secrets.put_secret_value(SecretId="a/b", SecretString="two")
    secrets.create_secret(Name="gone", SecretString="x")
    secrets.delete_secret(SecretId="gone", ForceDeleteWithoutRecovery=True)
    before = _plain(secrets.get_secret_value(SecretId="a/b"))
    aws.kill()
    # The same client, so also the same session of the role.
    assert _plain(secrets.get_secret_value(SecretId="a/b")) == before
    with pytest.raises(secrets.exceptions.ResourceNotFoundException):
        secrets.get_secret_value(SecretId="gone")
    with pytest.raises(ClientError, match="ResourceNotFound"):
        aws.client("secretsmanager").get_secret_value(SecretId="a/b")


class _Random:
    """Random operations on a few buckets and tables of two accounts."""

    def __init__(self, aws: Aws, seed: int) -> None:
        self.aws = aws
        self.random = random.Random(seed)
        self.accounts = (PLATFORM, "111111111111")
        self.buckets = {
            account: (_bucket(aws, account), _bucket(aws, account, versioned=True)) for account in self.accounts
        }
        self.database = f"random_{seed}"
        for account in self.accounts:
            aws.client("glue", account).create_database(DatabaseInput={"Name": self.database})

    def step(self) -> None:
        account = self.random.choice(self.accounts)
        try:
            operations = (self._put, self._put, self._copy, self._delete, self._delete_many, self._glue, self._glue)
            self.random.choice(operations)(account)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
                raise

    def _key(self) -> str:
        return f"k/{self.random.randrange(12)}"

    def _put(self, account: str) -> None:
        body = self.random.randbytes(self.random.choice((0, 1, 10_000)))
        self.aws.client("s3", account).put_object(
            Bucket=self.random.choice(self.buckets[account]), Key=self._key(), Body=body, Metadata={"n": str(len(body))}
        )

    def _copy(self, account: str) -> None:
        source, target = self.random.choices(self.buckets[account], k=2)
        self.aws.client("s3", account).copy_object(
            Bucket=target, Key=self._key(), CopySource={"Bucket": source, "Key": self._key()}
        )

    def _delete(self, account: str) -> None:
        self.aws.client("s3", account).delete_object(Bucket=self.random.choice(self.buckets[account]), Key=self._key())

    def _delete_many(self, account: str) -> None:
        keys = {self._key() for _ in range(3)}
        self.aws.client("s3", account).delete_objects(
            Bucket=self.random.choice(self.buckets[account]), Delete={"Objects": [{"Key": key} for key in keys]}
        )

    def _glue(self, account: str) -> None:
        glue = self.aws.client("glue", account)
        table = {"DatabaseName": self.database, "TableName": f"t{self.random.randrange(3)}"}
        dates = [f"2013-01-{self.random.randrange(1, 15):02}" for _ in range(self.random.randrange(1, 8))]
        location = f"s3://b/{self.random.random()}"
        match self.random.randrange(8):
            case 0:
                glue.create_table(DatabaseName=self.database, TableInput=_table_input(table["TableName"]))
            case 1:
                glue.update_table(DatabaseName=self.database, TableInput=_table_input(table["TableName"], v=location))
            case 2:
                if self.random.random() < 0.3:
                    glue.delete_table(DatabaseName=self.database, Name=table["TableName"])
            case 3 | 4:
                glue.batch_create_partition(**table, PartitionInputList=[_partition_input(each) for each in dates])
            case 5 | 6:
                glue.batch_update_partition(
                    **table,
                    Entries=[
                        {"PartitionValueList": [each], "PartitionInput": _partition_input(each, location)}
                        for each in dates
                    ],
                )
            case 7:
                glue.batch_delete_partition(**table, PartitionsToDelete=[{"Values": [each]} for each in dates])

    def seen(self) -> dict[str, Any]:
        return {
            account: (
                [_objects(self.aws, bucket, account) for bucket in self.buckets[account]],
                _catalog(self.aws, self.database, account),
            )
            for account in self.accounts
        }


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_random_operations_look_the_same_after_each_kill(aws: Aws, seed: int) -> None:
    subject = _Random(aws, seed)
    for _ in range(2):
        for _ in range(80):
            subject.step()
        before = subject.seen()
        aws.kill()
        assert subject.seen() == before
