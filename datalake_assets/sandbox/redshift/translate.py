"""One client statement into what PostgreSQL is to run for it."""

from dataclasses import dataclass

from datalake_assets.sandbox.redshift import refused_statements, rules, show
from datalake_assets.sandbox.redshift.copy.command import CopyCommand, read_copy
from datalake_assets.sandbox.redshift.refusals import Refused, raising_sql
from datalake_assets.sandbox.redshift.tokens import (
    Edit,
    Kind,
    Statement,
    apply_edits,
    parse_one,
    split_statements,
    words,
)

# Redshift's own limit of a statement.
MAX_STATEMENT_BYTES = 16 * 1024 * 1024
TOO_LARGE = Refused("54000", f"Statement is too large. Maximum Allowed: {MAX_STATEMENT_BYTES} bytes")
_STRUCTURAL_PASSES = 1_000
_SECRET_WORDS = words("credentials access_key_id secret_access_key session_token token password iam_role encrypted")


@dataclass(frozen=True)
class Translated:
    """SQL for the backend, and what else the gateway does around it."""

    sql: str
    copy: CopyCommand | None = None
    commits: bool = False
    tag: bytes | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the SQL alone does it."""
        return self.copy is None and not self.commits and self.tag is None


def translate(source: str, *, backslash_escapes: bool = True) -> list[Translated]:
    """Return the statements of `source` translated; what is refused becomes SQL that fails with that error.

    A text the tokenizer cannot take apart goes to PostgreSQL as it is refused: as one failing statement.
    """
    if len(source) > MAX_STATEMENT_BYTES // 4 and len(source.encode("utf-8", "surrogateescape")) > MAX_STATEMENT_BYTES:
        return [Translated(raising_sql(TOO_LARGE))]
    try:
        statements = list(split_statements(source, backslash_escapes=backslash_escapes))
    except Refused as refusal:
        return [Translated(raising_sql(refusal))]
    return [_translated(statement, backslash_escapes) for statement in statements]


def _translated(statement: Statement, backslash_escapes: bool) -> Translated:
    try:
        return _of_kind(statement, backslash_escapes)
    except Refused as refusal:
        return Translated(raising_sql(refusal))


def _of_kind(statement: Statement, backslash_escapes: bool) -> Translated:
    first = statement.word(0)
    if first == "copy":
        command = read_copy(statement)
        return Translated(command.backend_sql, copy=command)
    refused_statements.check(statement)
    if first == "show" and (query := show.rewrite(statement)) is not None:
        return Translated(query, tag=b"SHOW")
    if (table := _storage_change(statement)) is not None:
        # Checks that the table exists, and nothing more.
        return Translated(f"alter table {table} set (autovacuum_enabled = true)", tag=b"ALTER TABLE")
    sql = _rewritten(statement, backslash_escapes)
    return Translated(sql, commits=first == "truncate")


def _storage_change(statement: Statement) -> str | None:
    """The table of an ALTER TABLE that changes only how Redshift would store it."""
    if not statement.starts("alter", "table"):
        return None
    _, end = statement.qualified_name(2)
    if statement.word(end) != "alter":
        return None
    storage = ("diststyle", "distkey", "sortkey", "compound", "encode", "interleaved")
    is_storage = statement.word(end + 1) in storage
    is_encoding = statement.word(end + 1) == "column" and statement.word(end + 3) == "encode"
    return statement.span(2, end) if is_storage or is_encoding else None


def _rewritten(statement: Statement, backslash_escapes: bool) -> str:
    edits: list[Edit] = []
    for rule in rules.SPANS:
        if not rule.TRIGGERS or rule.TRIGGERS & statement.words:
            edits += rule.edits(statement)
    sql = apply_edits(statement.source, edits)
    structural = [rule for rule in rules.STRUCTURAL if rule.TRIGGERS & statement.words]
    for rule in structural:
        for _ in range(_STRUCTURAL_PASSES):
            edits = list(rule.edits(parse_one(sql, backslash_escapes=backslash_escapes)))
            if not edits:
                break
            sql = apply_edits(sql, edits)
    return sql


def redacted(source: str, *, backslash_escapes: bool = True) -> str:
    """`source` for a log: secrets of COPY, UNLOAD and CREATE USER taken out."""
    try:
        statement = parse_one(source, backslash_escapes=backslash_escapes)
    except Refused:
        return "(a statement that cannot be taken apart)"
    edits = []
    for index, token in enumerate(statement.tokens):
        if token.word not in _SECRET_WORDS:
            continue
        value = index + 1
        while statement.word(value) in ("as", "password") or statement.text(value) == "=":
            value += 1
        if value < len(statement) and statement.tokens[value].kind in (Kind.STRING, Kind.DOLLAR):
            edits.append(statement.replace(value, value + 1, "'***'"))
    return apply_edits(source, dict.fromkeys(edits))
