"""What an AWS call's failure means to the platform: permanent or transient, with what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from datalake_assets.errors import (
    AccessDenied,
    ConcurrentChange,
    ConfigurationError,
    ManifestMismatch,
    PlatformError,
    Throttled,
    Unavailable,
)

_DENIED = {
    "403",
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "SlowDown",
    "TooManyRequestsException",
    "ResourceNumberLimitExceededException",
}
_CONCURRENT = {"ConcurrentModificationException", "ConditionalRequestConflict", "PreconditionFailed"}
_UNAVAILABLE = {"InternalError", "InternalServiceException", "OperationTimeoutException", "ServiceUnavailable"}
_MISSING = {"EntityNotFoundException", "NoSuchBucket", "NoSuchKey", "404"}
_CORRUPTED = {"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch"}


def platform_error(code: str, message: str, *, where: str) -> PlatformError | None:
    """Return the platform's error for an AWS error code; None for a code that only a programmer can mend."""
    text = f"{code}: {message}" if message else code
    if code in _THROTTLED:
        return Throttled(f"AWS asks for fewer calls ({text})", where=where)
    if code in _DENIED:
        return AccessDenied(
            f"AWS refused the call ({text})",
            where=where,
            todo="Give the account's role the permission, or mend its credentials",
        )
    if code in _CONCURRENT:
        return ConcurrentChange(f"somebody else changed it at the same time ({text})", where=where)
    if code in _UNAVAILABLE:
        return Unavailable(f"the service does not answer properly ({text})", where=where)
    if code in _MISSING:
        return ConfigurationError(
            f"it does not exist ({text})",
            where=where,
            todo="Compare the registry with what is deployed",
        )
    if code in _CORRUPTED:
        return ManifestMismatch(f"S3 received other bytes than were sent ({text})", where=where)
    return None


@contextmanager
def aws_errors(where: str) -> Iterator[None]:
    """Translate what botocore raises inside the block into the platform's errors, with `where` it happened."""
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as BotoConnectionError

    try:
        yield
    except (ClientError, S3UploadFailedError) as error:
        # boto3's transfers put the service's answer into the context of an error of their own.
        answer = error if isinstance(error, ClientError) else error.__context__
        if not isinstance(answer, ClientError):
            raise _unreachable(error, where) from error
        detail = answer.response.get("Error", {})
        found = platform_error(detail.get("Code", ""), detail.get("Message", ""), where=where)
        if found is None:
            raise
        raise found from error
    except (BotoConnectionError, HTTPClientError) as error:
        raise _unreachable(error, where) from error


def _unreachable(error: Exception, where: str) -> Unavailable:
    return Unavailable(
        f"AWS cannot be reached: {error}", where=where, todo="Check the network and AWS_ENDPOINT_URL, then retry"
    )
