"""S3's own clock, which also dates its objects and events: the only one that they may be compared with."""

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from datalake_assets.errors import Unavailable


def answered_at(answer: Any) -> datetime:
    """When S3 gave an answer, in UTC and to the second.

    Raises:
        Unavailable: the answer has no date.
    """
    header: str | None = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if not header:
        raise Unavailable("the answer of S3 has no date", expected="the header Date, which S3 always sends")
    at: datetime = parsedate_to_datetime(header)
    return at
