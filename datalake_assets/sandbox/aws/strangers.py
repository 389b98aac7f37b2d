"""Refuse access keys that nobody has: moto would take them for the default account's and put data there in silence."""

import json
import re
from typing import Any
from urllib.parse import unquote

from moto.iam.models import iam_backends

Answer = tuple[str, list[tuple[str, str]], bytes]

_HEADER = re.compile(r"Credential=([^/,\s]+)/[^/]*/[^/]*/([^/]*)/|AWS ([^:\s]+):")
_QUERY = re.compile(r"(?:^|&)(?:X-Amz-Credential=([^/&]+)/|AWSAccessKeyId=([^&]+))")
_MESSAGE = "The security token included in the request is invalid."


def refuse_stranger(environ: dict[str, Any], platform_key: str) -> Answer | None:
    """Return the error that AWS would answer, in the service's own form, or None for a known key."""
    key, service = key_and_service(environ)
    if key == platform_key or any(
        key in backend.access_keys for account in list(iam_backends.values()) for backend in list(account.values())
    ):
        return None
    if service == "s3":
        code = "InvalidAccessKeyId" if key else "AccessDenied"
        return xml(f"<Error><Code>{code}</Code><Message>{_MESSAGE}</Message></Error>")
    if "HTTP_X_AMZ_TARGET" in environ:
        body = json.dumps({"__type": "UnrecognizedClientException", "message": _MESSAGE}).encode()
        return "403 Forbidden", [("Content-Type", "application/x-amz-json-1.1")], body
    return xml(
        f"<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code><Message>{_MESSAGE}</Message>"
        "</Error></ErrorResponse>"
    )


def key_and_service(environ: dict[str, Any]) -> tuple[str, str]:
    """The access key that signed a request ('' without one), and the service it asks."""
    if found := _HEADER.search(environ.get("HTTP_AUTHORIZATION", "")):
        return found[1] or found[3], found[2] or "s3"
    if found := _QUERY.search(unquote(environ.get("QUERY_STRING", ""))):
        return found[1] or found[2], "s3"
    return "", "s3"


def xml(text: str) -> Answer:
    """A refusal in the form of the services that answer XML."""
    return "403 Forbidden", [("Content-Type", "text/xml")], f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode()
