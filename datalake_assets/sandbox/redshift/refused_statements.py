"""Statements of Redshift that the gateway does not do: each is refused by its name."""

from datalake_assets.sandbox.redshift.refusals import Refused, unsupported
from datalake_assets.sandbox.redshift.tokens import Kind, Statement

_BY_FIRST_WORDS: tuple[tuple[str, ...], ...] = tuple(
    tuple(words.split())
    for words in """
    unload
    create external schema|create external table|create external view|create external function|create external model
    create or replace external view
    alter external schema|alter external view|drop external view
    create model|drop model|show model|show external table|explain model
    create datashare|alter datashare|drop datashare|show datashares|desc datashare
    create library|create or replace library|drop library
    create identity provider|alter identity provider|drop identity provider|desc identity provider
    create masking policy|alter masking policy|drop masking policy|attach masking policy|detach masking policy
    create rls policy|alter rls policy|drop rls policy|attach rls policy|detach rls policy
    create template|alter template|drop template
    create function external|use
    cancel
    """.replace("\n", "|").split("|")
    if words.strip()
)
_IN_QUERIES = {"pivot": "PIVOT", "unpivot": "UNPIVOT"}


def check(statement: Statement) -> None:
    """Raise `Refused` (0A000) if the statement is one of those, or holds such a construct."""
    for words in _BY_FIRST_WORDS:
        if statement.starts(*words):
            raise unsupported(" ".join(words).upper())
    first = statement.word(0)
    if first == "alter" and statement.starts("table", at=1):
        _check_alter_table(statement)
    if first == "merge" and "duplicates" in statement.words:
        raise unsupported("MERGE … REMOVE DUPLICATES")
    if first == "create" and statement.words & {"function", "procedure"} and "plpythonu" in statement.words:
        raise unsupported("LANGUAGE plpythonu")
    for index, token in enumerate(statement.tokens):
        if (
            token.word in _IN_QUERIES
            and statement.text(index + 1) == "("
            and statement.text(index - 1) not in (".", ",")
        ):
            raise unsupported(_IN_QUERIES[token.word])
        if token.word == "top" and statement.word(index - 1) in ("select", "distinct"):
            following = statement.tokens[index + 1 : index + 2]
            if following and following[0].kind in (Kind.NUMBER, Kind.PARAMETER):
                raise unsupported("SELECT TOP", hint="Use LIMIT.")
        if token.word == "connect" and statement.word(index + 1) == "by":
            raise unsupported("CONNECT BY", hint="Use WITH RECURSIVE.")
        _check_length(token.text, token.kind)


def _check_alter_table(statement: Statement) -> None:
    for index in range(2, len(statement)):
        if statement.word(index) == "append" and statement.word(index + 1) == "from":
            raise unsupported("ALTER TABLE … APPEND")
        if statement.starts("add", "partition", at=index) or statement.starts("set", "location", at=index):
            raise unsupported("ALTER TABLE of an external table")


def _check_length(text: str, kind: Kind) -> None:
    # PostgreSQL cuts names off at 63 bytes without an error; Redshift keeps 127: two tables would become one.
    if kind in (Kind.WORD, Kind.QUOTED) and len(text.encode()) > 63 + 2 * (kind is Kind.QUOTED):
        raise Refused(
            "42622",
            f"identifier {text} is longer than the 63 bytes the sandbox's Redshift gateway keeps",
            hint="Redshift itself takes 127 bytes.",
        )
