"""What a failed S3 or SQS call means: worth another try, not allowed, or not there."""

from collections.abc import Iterator
from contextlib import contextmanager

from datalake_assets.errors import AccessDenied, ConfigurationError, PlatformError, Throttled, Unavailable

_THROTTLED = {"SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests", "OverLimit"}
_DENIED = {"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidClientTokenId"}
_MISSING = {"NoSuchBucket", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}


@contextmanager
def aws_calls(where: str) -> Iterator[None]:
    """Translate boto's exceptions; botocore has already repeated what it considers worth repeating.

    Raises:
        Throttled: the service asks for fewer calls.
        Unavailable: the service does not answer, or failed by itself.
        AccessDenied: a credential or grant is missing.
        ConfigurationError: the bucket or queue does not exist.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _meaning(error.response.get("Error", {}), error.response, where) from error
    except BotoCoreError as error:
        # Connection refused, time-outs, no route, half an answer: all say that there was no answer to trust.
        raise Unavailable(f"no answer: {error}", where=where) from error


def _meaning(told: object, response: object, where: str) -> PlatformError:
    code = str(told.get("Code", "")) if isinstance(told, dict) else ""
    text = f"{code}: {told.get('Message', '')}" if isinstance(told, dict) else ""
    metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    status = int(metadata.get("HTTPStatusCode", 0) or 0)
    if code in _THROTTLED or status == 429 or (status == 503 and code == "SlowDown"):
        return Throttled(text, where=where)
    if code in _DENIED or status == 403:
        return AccessDenied(text, where=where, expected="a role that may read it")
    if code in _MISSING:
        return ConfigurationError(text, where=where, expected="a bucket or queue that exists")
    if status >= 500 or not status:
        return Unavailable(text, where=where)
    return ConfigurationError(f"the call was refused: {text}", where=where)
