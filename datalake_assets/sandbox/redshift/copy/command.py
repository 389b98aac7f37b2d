"""Read a COPY command: its table, its source and its options, each either understood or refused by name."""

from dataclasses import dataclass, field

from datalake_assets.sandbox.redshift.refusals import Refused, quoted_identifier, unsupported
from datalake_assets.sandbox.redshift.tokens import Kind, Statement, words

_OTHER_FORMATS = ("csv", "json", "avro", "orc", "fixedwidth", "shapefile", "delimiter", "text", "iceberg")
# Options of text formats; Redshift refuses them for Parquet as well.
_TEXT_ONLY = words(
    "acceptanydate acceptinvchars blanksasnull bzip2 compression dateformat emptyasnull encoding encrypted escape "
    "explicit_ids fillrecord gzip ignoreallerrors ignoreblanklines ignoreheader lzop maxerror noload null quote "
    "removequotes roundec ssh timeformat trimblanks truncatecolumns zstd comprows readratio"
)
_IGNORED_WITH_VALUE = ("statupdate", "compupdate")
_SECRETS = ("access_key_id", "secret_access_key", "session_token", "token")


@dataclass(frozen=True)
class CopyCommand:
    """What one `COPY … FROM 's3://…' FORMAT PARQUET` asks for."""

    table: tuple[str, ...]
    columns: tuple[str, ...]
    source: str
    is_manifest: bool = False
    serialize_to_json: bool = False
    region: str | None = None
    text: str = field(default="", repr=False)

    @property
    def quoted_table(self) -> str:
        return ".".join(quoted_identifier(part) for part in self.table)

    @property
    def backend_sql(self) -> str:
        """The PostgreSQL command that takes the rows, on the client's own connection."""
        columns = f" ({', '.join(quoted_identifier(column) for column in self.columns)})" if self.columns else ""
        return f"COPY {self.quoted_table}{columns} FROM STDIN WITH (FORMAT csv)"


def read_copy(statement: Statement) -> CopyCommand:
    """Return what a statement starting with COPY asks for.

    Raises:
        Refused: a syntax error (42601), or a source, format or option the gateway does not do (0A000).
    """
    table, index = statement.qualified_name(1)
    if not table:
        raise Refused("42601", f'syntax error at or near "{statement.text(1)}" in COPY')
    columns: tuple[str, ...] = ()
    if statement.text(index) == "(":
        columns = tuple(statement.tokens[first].name for first, _ in statement.arguments(index))
        index = statement.closing(index) + 1
    if statement.word(index) == "to":
        raise unsupported("COPY … TO", hint="Redshift exports with UNLOAD.")
    if statement.word(index) != "from":
        raise Refused("42601", f'syntax error at or near "{statement.text(index)}" in COPY: FROM expected')
    index += 1
    if statement.word(index) in ("stdin", "stdout"):
        raise unsupported("COPY FROM STDIN", hint="Redshift loads from S3: COPY … FROM 's3://…'.")
    source = _string(statement, index, "the source of COPY")
    if not source.startswith("s3://"):
        scheme = source.split("://")[0] + "://" if "://" in source else repr(source)
        raise unsupported(f"COPY from {scheme}")
    return _with_options(statement, index + 1, table=tuple(table), columns=columns, source=source)


def _with_options(
    statement: Statement, index: int, *, table: tuple[str, ...], columns: tuple[str, ...], source: str
) -> CopyCommand:
    is_parquet = is_manifest = serialize = False
    region: str | None = None
    while index < len(statement):
        word = statement.word(index)
        index += 1
        if word in ("format", "as", "with"):
            continue
        if word == "parquet":
            is_parquet = True
        elif word == "manifest":
            is_manifest = True
        elif word == "serializetojson":
            serialize = True
        elif word in ("iam_role", "credentials", "region", *_SECRETS):
            index += statement.word(index) == "as"
            if word == "iam_role" and statement.word(index) == "default":
                index += 1
                continue
            value = _string(statement, index, word.upper())
            index += 1
            region = value if word == "region" else region
        elif word in _IGNORED_WITH_VALUE:
            index += statement.word(index) in ("on", "off", "true", "false", "preset")
        elif word in _OTHER_FORMATS:
            raise unsupported(f"COPY with {word.upper()}", hint="The gateway loads FORMAT PARQUET only.")
        elif word in _TEXT_ONLY:
            raise Refused("0A000", f"{word.upper()} argument is not supported for PARQUET based COPY")
        else:
            raise Refused("42601", f'syntax error at or near "{statement.text(index - 1)}" in the options of COPY')
    if not is_parquet:
        raise unsupported("COPY of delimited text (no FORMAT given)", hint="The gateway loads FORMAT PARQUET only.")
    return CopyCommand(table, columns, source, is_manifest, serialize, region, statement.source)


def _string(statement: Statement, index: int, what: str) -> str:
    if index >= len(statement) or statement.tokens[index].kind is not Kind.STRING:
        # The text found is not repeated: it may be a misplaced secret.
        raise Refused("42601", f"syntax error in COPY: {what} needs a quoted string")
    return statement.text(index)[1:-1].replace("''", "'")
