"""A ledger in a throw-away database, and S3 and SQS in moto."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from datalake_assets.arrivals.dead_letters import DeadLetters
from datalake_assets.arrivals.ledger import Ledger
from datalake_assets.database.engine import engine, transaction
from datalake_assets.database.migrate import migrate
from tests.database.conftest import empty_database_url, postgres_server

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

__all__ = ["empty_database_url", "postgres_server"]


@pytest.fixture(scope="session")
def ledger_url(postgres_server: str) -> str:
    admin = engine(f"{postgres_server}/postgres").execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text("CREATE DATABASE ledger"))
    migrate(f"{postgres_server}/ledger")
    return f"{postgres_server}/ledger"


@pytest.fixture
def empty_ledger_url(ledger_url: str) -> str:
    """The URL of a migrated database without rows."""
    with transaction(engine(ledger_url)) as connection:
        connection.execute(
            text(
                "TRUNCATE arrival_object, arrival_history, arrival_partition, arrival_dead_letter, arrival_listing, "
                "arrival_notice RESTART IDENTITY"
            )
        )
    return ledger_url


@pytest.fixture
def ledger(empty_ledger_url: str) -> Ledger:
    return Ledger(engine(empty_ledger_url))


@pytest.fixture
def dead_letters(ledger: Ledger) -> DeadLetters:
    return DeadLetters(ledger.database)


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of an empty moto, as the SDK reads it."""
    import httpx

    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    httpx.post(f"{moto_url}/moto-api/reset").raise_for_status()


@pytest.fixture
def s3(aws: None) -> "S3Client":
    import boto3

    return boto3.client("s3")


@pytest.fixture
def sqs(aws: None) -> "SQSClient":
    import boto3

    return boto3.client("sqs")


@pytest.fixture
def bucket(s3: "S3Client") -> str:
    s3.create_bucket(Bucket="raw", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return "raw"


@pytest.fixture
def queue_url(s3: "S3Client", sqs: "SQSClient", bucket: str) -> str:
    """A queue that the bucket notifies."""
    url = sqs.create_queue(QueueName="arrivals")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}]
        },
    )
    return url
