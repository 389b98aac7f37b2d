"""The few texts that reach a statement without being a parameter: checked here, before they do.

Identifiers come from `names.quoted`. COPY takes no parameters, and a type cannot be one.
"""

import re

from datalake_assets.errors import ConfigurationError
from datalake_assets.names import identifier

_S3_URI = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[A-Za-z0-9!_.*()=,:@&+/-]{1,1024}")
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}")
_TYPE = re.compile(
    r"smallint|integer|bigint|real|double precision|boolean|date|time|timestamp|timestamptz|super"
    r"|(?:var)?char\([1-9]\d{0,4}\)|varbyte\([1-9]\d{0,7}\)|decimal\([1-9]\d?,\d\d?\)"
)
_SYNONYMS = {
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "int2": "smallint",
    "float": "double precision",
    "float8": "double precision",
    "float4": "real",
    "double": "double precision",
    "bool": "boolean",
    "text": "varchar(256)",  # what Redshift makes of it
    "varchar": "varchar(256)",
    "varchar(max)": "varchar(65535)",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
}


def redshift_type(text: str) -> str:
    """Return a Redshift type in its one spelling here, for example `decimal(12,2)`.

    Raises:
        ConfigurationError: it is not a type that the platform loads.
    """
    plain = re.sub(r"\s*([(),])\s*", r"\1", " ".join(text.lower().split()))
    plain = plain.replace("character varying", "varchar").replace("numeric", "decimal")
    plain = re.sub(r"^character(?=\()", "char", plain)
    plain = re.sub(r"^decimal\((\d+)\)$", r"decimal(\1,0)", _SYNONYMS.get(plain, plain))
    if not _TYPE.fullmatch(plain):
        raise ConfigurationError(
            f"the Redshift type {text!r} is not known",
            expected="smallint, integer, bigint, real, double precision, decimal(p,s), boolean, char(n), varchar(n), "
            "date, time, timestamp, timestamptz, varbyte(n) or super",
        )
    return plain


def s3_literal(uri: str) -> str:
    """Return an S3 URI as an SQL literal for COPY.

    Raises:
        ConfigurationError: it is not an S3 URI, or has a character that the platform's keys never have.
    """
    if not _S3_URI.fullmatch(uri):
        raise ConfigurationError(f"{uri!r} cannot be loaded", expected="s3://bucket/key of a manifest")
    return f"'{uri}'"


def role_literal(arn: str) -> str:
    """Return a role's ARN as an SQL literal for COPY.

    Raises:
        ConfigurationError: it is not the ARN of an IAM role.
    """
    if not _ROLE_ARN.fullmatch(arn):
        raise ConfigurationError(f"{arn!r} is not an IAM role", expected="arn:aws:iam::<account>:role/<name>")
    return f"'{arn}'"


def text_literal(text: str) -> str:
    """Return any text as an SQL literal, for COMMENT, which takes no parameters.

    Redshift reads a backslash in a plain literal as an escape, PostgreSQL does not: it becomes a slash for both.
    """
    return "'" + text.replace("\x00", "").replace("\\", "/").replace("'", "''") + "'"


def columns_sql(names: list[str], *, alias: str = "") -> str:
    """Return validated column names as a quoted list, each behind `alias` and a dot if given."""
    prefix = f"{identifier(alias)}." if alias else ""
    return ", ".join(f'{prefix}"{identifier(name, what="column")}"' for name in names)
