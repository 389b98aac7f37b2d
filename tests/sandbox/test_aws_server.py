"""The server in front of moto: atomic requests, waiting that blocks nobody, and nothing open that should not be."""

import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from botocore.exceptions import ClientError

from datalake_assets.sandbox.ports import LOCALHOST
from tests.sandbox.conftest import REGION, Aws


def _bucket(aws: Aws, name: str) -> str:
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


def test_of_many_conditional_writes_at_once_exactly_one_succeeds(aws: Aws) -> None:
    bucket, s3 = _bucket(aws, "conditional"), aws.client("s3")

    def write(number: int) -> bool:
        try:
            s3.put_object(Bucket=bucket, Key="k", Body=str(number).encode(), IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(write, range(36))) == 1


def test_a_long_poll_ends_with_the_first_message_and_blocks_nobody(aws: Aws) -> None:
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="polled")["QueueUrl"]
    found: list[str] = []

    def poll() -> None:
        messages = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20).get("Messages", [])
        found.extend(message["Body"] for message in messages)

    started = time.monotonic()
    waiting = threading.Thread(target=poll)
    waiting.start()
    # These are answered while the poll waits, or the test would take all of its twenty seconds.
    for _ in range(20):
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    sqs.send_message(QueueUrl=url, MessageBody="news")
    waiting.join(timeout=30)
    assert found == ["news"]
    assert time.monotonic() - started < 18


def test_the_owner_of_a_bucket_hears_of_what_another_account_writes(aws: Aws) -> None:
    owner = "200000000000"
    sqs = aws.client("sqs", owner)
    url = sqs.create_queue(QueueName="heard")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3 = aws.client("s3", owner)
    s3.create_bucket(Bucket="heard", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_notification_configuration(
        Bucket="heard",
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]},
        SkipDestinationValidation=True,
    )
    # As a person does with the variables of `datalake sandbox env`.
    aws.client("s3").put_object(Bucket="heard", Key="orders/sample.csv", Body=b"id")
    bodies = [message["Body"] for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]]
    assert any("orders/sample.csv" in body for body in bodies)


def test_a_failed_request_leaves_the_connection_and_the_server_in_order(aws: Aws) -> None:
    s3 = aws.client("s3")
    bucket = _bucket(aws, "failing")
    for _ in range(3):
        with pytest.raises(ClientError, match="NoSuchBucket"):
            s3.put_object(Bucket="no-such-bucket", Key="k", Body=b"x" * 100_000)
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 1


def test_ranges_presigned_addresses_and_empty_objects_work(aws: Aws) -> None:
    s3 = aws.client("s3")
    bucket = _bucket(aws, "plain")
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    assert s3.get_object(Bucket=bucket, Key="k", Range="bytes=2-4")["Body"].read() == b"234"
    assert s3.get_object(Bucket=bucket, Key="empty")["Body"].read() == b""
    address = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    with urllib.request.urlopen(address, timeout=5) as answer:
        assert answer.read() == b"0123456789"


def test_motos_own_reset_is_switched_off(aws: Aws) -> None:
    request = urllib.request.Request(f"http://{LOCALHOST}:{aws.port}/moto-api/reset", method="POST")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(request, timeout=5)


def test_a_request_without_credentials_is_refused(aws: Aws) -> None:
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"http://{LOCALHOST}:{aws.port}/", timeout=5)


def test_nothing_listens_beyond_this_machine(aws: Aws) -> None:
    listening = [
        connection
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == aws.port
    ]
    assert {connection.laddr.ip for connection in listening} == {LOCALHOST}
