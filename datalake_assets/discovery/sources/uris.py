"""What a URI of a crawl names: a bucket with a key or prefix, or a path of this machine."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from datalake_assets.errors import ConfigurationError

S3_SCHEMES = ("s3://", "s3a://", "s3n://")


def is_s3(uri: str) -> bool:
    return uri.startswith(S3_SCHEMES)


def split_s3(uri: str) -> tuple[str, str]:
    """The bucket and the key or prefix of an S3 URI.

    Raises:
        ConfigurationError: it names no bucket.
    """
    bucket, _, key = uri.partition("://")[2].partition("/")
    if not bucket:
        raise ConfigurationError(f"{uri!r} names no bucket", expected="s3://bucket/prefix")
    return bucket, key


def local_path(uri: str) -> Path:
    """The path that a `file://` URI or a plain path names.

    Raises:
        ConfigurationError: it is empty, or a URI of another kind.
    """
    if not uri.strip():
        raise ConfigurationError("the URI is empty", expected="s3://bucket/prefix or a path")
    if uri.startswith("file:"):
        return Path(unquote(urlsplit(uri).path))
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", uri):
        raise ConfigurationError(
            f"{uri.partition('://')[0]}:// is no place that can be listed", expected="s3:// or a path"
        )
    return Path(uri).expanduser()
