"""What a failed AWS call means to the platform: worth another try, not allowed, not there; with what to do."""

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
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_THROTTLED = {
    "OverLimit",
    "RequestLimitExceeded",
    "ResourceNumberLimitExceededException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "TooManyRequestsException",
}
_CONCURRENT = {"ConcurrentModificationException", "ConditionalRequestConflict", "PreconditionFailed"}
_UNAVAILABLE = {"InternalError", "InternalServiceException", "OperationTimeoutException", "ServiceUnavailable"}
_MISSING = {
    "AWS.SimpleQueueService.NonExistentQueue",
    "EntityNotFoundException",
    "NoSuchBucket",
    "NoSuchKey",
    "QueueDoesNotExist",
    "ResourceNotFoundException",
}
_CORRUPTED = {"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch"}


def platform_error(code: str, message: str, *, where: str, status: int = 0) -> PlatformError:
    """Return the platform's error for an AWS error code and, for a code that is not known here, its HTTP status."""
    text = f"{code}: {message}" if code and message else code or message or f"HTTP status {status}"
    if code in _THROTTLED or status == 429:
        return Throttled(f"AWS asks for fewer calls ({text})", where=where)
    if code in _CONCURRENT or status == 412:
        return ConcurrentChange(f"somebody else changed it at the same time ({text})", where=where)
    if code in _UNAVAILABLE:
        return Unavailable(f"the service does not answer properly ({text})", where=where)
    if code in _MISSING or status == 404:
        return ConfigurationError(
            f"it does not exist ({text})", where=where, todo="Compare the registry with what is deployed"
        )
    if code in _CORRUPTED:
        return ManifestMismatch(f"S3 received other bytes than were sent ({text})", where=where)
    if code in _DENIED or status == 403:
        return AccessDenied(
            f"AWS refused the call ({text})",
            where=where,
            expected="a role that may do this",
            todo="Give the account's role the permission, or mend its credentials",
        )
    if status >= 500:
        return Unavailable(f"the service does not answer properly ({text})", where=where)
    return ConfigurationError(f"AWS refused the call ({text})", where=where)


@contextmanager
def aws_errors(where: str) -> Iterator[None]:
    """Translate what boto3 raises inside the block into the platform's errors, with `where` it happened.

    Botocore has already repeated what it considers worth repeating. A call that is wrong in itself stays as it is: it
    is a mistake in the code.

    Raises:
        Throttled, Unavailable, ConcurrentChange: worth another try.
        AccessDenied: a credential or grant is missing.
        ConfigurationError: what was asked for does not exist, or the platform has no credentials at all.
        ManifestMismatch: S3 received other bytes than were sent.
    """
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        ParamValidationError,
        PartialCredentialsError,
        UnknownKeyError,
    )

    try:
        yield
    except (ClientError, S3UploadFailedError) as error:
        # boto3's transfers put the service's answer into the context of an error of their own.
        answer = error if isinstance(error, ClientError) else error.__context__
        if not isinstance(answer, ClientError):
            raise _unreachable(error, where) from error
        detail = answer.response.get("Error", {})
        code = str(detail.get("Code", ""))
        # S3 has no body for an error of HEAD: botocore then gives the status as the code.
        status = int(code) if code.isdecimal() else _status(answer.response)
        raise platform_error(code, str(detail.get("Message", "")), where=where, status=status) from error
    except (ParamValidationError, UnknownKeyError):
        raise
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise ConfigurationError(
            # Of none of its accounts: where it was noticed says nothing.
            f"the platform has no AWS credentials ({error})",
            todo="Set AWS_PROFILE or the AWS_* variables; `datalake sandbox env` prints those of the sandbox",
        ) from error
    except BotoCoreError as error:
        # Connection refused, time-outs, no route, half an answer: all say that there was no answer to trust.
        raise _unreachable(error, where) from error


def _status(response: object) -> int:
    metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    return int(metadata.get("HTTPStatusCode", 0) or 0)


def _unreachable(error: Exception, where: str) -> Unavailable:
    return Unavailable(
        f"AWS cannot be reached: {error}", where=where, todo="Check the network and AWS_ENDPOINT_URL, then retry"
    )
