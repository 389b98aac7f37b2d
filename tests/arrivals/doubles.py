"""S3 as the tests of arrivals need it."""

import datetime as dt
from typing import Any

from botocore.exceptions import ClientError

from tests.arrivals.builders import at, etag_of


class Bucket:
    """An S3 bucket in memory with a clock; its listing can be cut into small pages and fail at any of them."""

    def __init__(self, page_keys: int = 3) -> None:
        self.objects: dict[str, tuple[str, dt.datetime]] = {}
        self.page_keys = page_keys
        self.now = at(3600)
        self.fails_on_call: int | None = None
        self.calls = 0

    def put(self, key: str, content: str = "1", seconds: float = 0) -> None:
        self.objects[key] = (content, at(seconds))

    def list_objects_v2(self, *, Bucket: str, Prefix: str, MaxKeys: int, ContinuationToken: str = "") -> dict[str, Any]:
        self.calls += 1
        if self.calls == self.fails_on_call:
            raise ClientError({"Error": {"Code": "SlowDown", "Message": "Reduce your rate"}}, "ListObjectsV2")
        keys = sorted(k for k in self.objects if k.startswith(Prefix) and k > ContinuationToken)
        page = keys[: self.page_keys]
        contents = [
            {
                "Key": key, "ETag": f'"{etag_of(content)}"', "Size": len(content),
                "LastModified": at_.replace(microsecond=0),
            }
            for key, (content, at_) in ((key, self.objects[key]) for key in page)
        ]  # fmt: skip
        more = len(keys) > len(page)
        return {
            "Contents": contents, "IsTruncated": more, **({"NextContinuationToken": page[-1]} if more else {}),
            "ResponseMetadata": {"HTTPHeaders": {"date": self.now.strftime("%a, %d %b %Y %H:%M:%S GMT")}},
        }  # fmt: skip
