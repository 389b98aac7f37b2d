"""What AWS's codes and boto's exceptions mean to the platform."""

import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from datalake_assets.accounts.aws_errors import aws_errors
from datalake_assets.errors import (
    AccessDenied,
    ConcurrentChange,
    ConfigurationError,
    ManifestMismatch,
    Throttled,
    Unavailable,
)


def answer(code: str, status: int = 400) -> ClientError:
    told = {"Error": {"Code": code, "Message": "told by AWS"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(told, "GetObject")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (answer("SlowDown", 503), Throttled),
        (answer("Whatever", 429), Throttled),
        (answer("ConcurrentModificationException"), ConcurrentChange),
        (answer("412", 412), ConcurrentChange),
        (answer("InternalError", 500), Unavailable),
        (answer("Whatever", 502), Unavailable),
        (answer("NoSuchBucket", 404), ConfigurationError),
        (answer("404"), ConfigurationError),
        (answer("ResourceNotFoundException"), ConfigurationError),
        (answer("BadDigest"), ManifestMismatch),
        (answer("AccessDenied", 403), AccessDenied),
        (answer("InvalidObjectState", 403), AccessDenied),
        (answer("ValidationException"), ConfigurationError),
        (EndpointConnectionError(endpoint_url="http://nowhere"), Unavailable),
        (ReadTimeoutError(endpoint_url="http://nowhere"), Unavailable),
        (IncompleteReadError(actual_bytes=1, expected_bytes=2), Unavailable),
    ],
)
def test_each_failure_has_one_meaning_and_says_where(error: Exception, meaning: type[Exception]) -> None:
    with pytest.raises(meaning, match=r"^s3://raw/key: ") as caught, aws_errors("s3://raw/key"):
        raise error
    assert type(caught.value) is meaning
    assert caught.value.__cause__ is error


def test_missing_credentials_are_of_the_platform_and_of_no_place() -> None:
    with pytest.raises(ConfigurationError, match=r"^the platform has no AWS credentials"), aws_errors("s3://raw/key"):
        raise NoCredentialsError


def test_the_answer_within_a_failed_transfer_decides() -> None:
    failed = S3UploadFailedError("Failed to upload")
    failed.__context__ = answer("AccessDenied", 403)  # as boto3 raises it
    with pytest.raises(AccessDenied), aws_errors("s3://lake/key"):
        raise failed


def test_a_call_that_is_wrong_in_itself_stays_a_mistake() -> None:
    with pytest.raises(ParamValidationError), aws_errors("s3://raw/key"):
        raise ParamValidationError(report="Missing required parameter")
    assert issubclass(ParamValidationError, BotoCoreError)
