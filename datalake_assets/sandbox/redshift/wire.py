"""Frames of the PostgreSQL protocol, version 3: the part that Redshift's clients speak."""

import struct
from collections.abc import Iterable, Mapping

SSL_REQUEST = 80877103
GSS_REQUEST = 80877104
CANCEL_REQUEST = 80877102
PROTOCOL_3_0 = 196608

HEADER = struct.Struct("!cI")
_INT16 = struct.Struct("!H")
_INT32 = struct.Struct("!i")

SYNC = b"S\x00\x00\x00\x04"
FLUSH = b"H\x00\x00\x00\x04"
TERMINATE = b"X\x00\x00\x00\x04"
COPY_DONE = b"c\x00\x00\x00\x04"


def frame(kind: bytes, body: bytes = b"") -> bytes:
    """One message: its type, its length and its body."""
    return HEADER.pack(kind, len(body) + 4) + body


def startup(parameters: Mapping[str, str]) -> bytes:
    """The first message of a connection."""
    body = _INT32.pack(PROTOCOL_3_0)
    body += b"".join(key.encode() + b"\0" + value.encode() + b"\0" for key, value in parameters.items()) + b"\0"
    return _INT32.pack(len(body) + 4) + body


def parse(name: bytes, sql: bytes, tail: bytes = b"\0\0") -> bytes:
    """Prepare `sql` under `name`; `tail` holds the parameter types."""
    return frame(b"P", name + b"\0" + sql + b"\0" + tail)


def bind(portal: bytes, name: bytes) -> bytes:
    """Bind a statement without parameters; results come as text."""
    return frame(b"B", portal + b"\0" + name + b"\0" + b"\0\0" * 3)


def describe_portal(portal: bytes) -> bytes:
    return frame(b"D", b"P" + portal + b"\0")


def execute(portal: bytes) -> bytes:
    """Run a portal to its end."""
    return frame(b"E", portal + b"\0" + b"\0" * 4)


def close_statement(name: bytes) -> bytes:
    return frame(b"C", b"S" + name + b"\0")


def close_portal(name: bytes) -> bytes:
    return frame(b"C", b"P" + name + b"\0")


def copy_fail(message: str) -> bytes:
    return frame(b"f", message.encode() + b"\0")


def error(
    sqlstate: str, message: str, *, severity: str = "ERROR", detail: str = "", hint: str = "", kind: bytes = b"E"
) -> bytes:
    """An ErrorResponse; without `detail` or `hint` those fields are left out."""
    fields = {"S": severity, "V": severity, "C": sqlstate, "M": message, "D": detail, "H": hint}
    body = b"".join(key.encode() + value.encode() + b"\0" for key, value in fields.items() if value)
    return frame(kind, body + b"\0")


def error_fields(body: bytes) -> dict[str, str]:
    """The fields of an ErrorResponse by their one-letter names: C is the SQLSTATE, M the message."""
    parts = body.rstrip(b"\0").split(b"\0")
    return {part[:1].decode(): part[1:].decode("utf-8", "replace") for part in parts if part}


def data_row(body: bytes) -> list[str | None]:
    """The values of a DataRow in text format."""
    (count,) = _INT16.unpack_from(body)
    values: list[str | None] = []
    position = 2
    for _ in range(count):
        (length,) = _INT32.unpack_from(body, position)
        position += 4
        if length < 0:
            values.append(None)
        else:
            values.append(body[position : position + length].decode())
            position += length
    return values


def c_strings(body: bytes, count: int) -> tuple[list[bytes], int]:
    """The first `count` zero-terminated strings of a body, and where the rest starts."""
    strings: list[bytes] = []
    position = 0
    for _ in range(count):
        end = body.index(b"\0", position)
        strings.append(body[position:end])
        position = end + 1
    return strings, position


def startup_parameters(body: bytes) -> dict[str, str]:
    """The keys and values of a startup message after its protocol number."""
    parts: Iterable[bytes] = body.split(b"\0")
    texts = [part.decode("utf-8", "replace") for part in parts]
    pairs = zip(texts[0::2], texts[1::2], strict=False)
    return {key: value for key, value in pairs if key}
