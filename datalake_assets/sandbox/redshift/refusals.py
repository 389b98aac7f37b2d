"""An error the gateway answers itself, and the SQL that makes PostgreSQL answer it.

A refusal is raised inside PostgreSQL rather than sent around it, so that the transaction ends up aborted exactly as
after any other error.
"""


class Refused(Exception):
    """A statement the gateway does not run.

    Args:
        sqlstate: the five-character code the client sees.
        message: what was refused, naming the construct.
    """

    def __init__(self, sqlstate: str, message: str, detail: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.message = message
        self.detail = detail
        self.hint = hint


def unsupported(construct: str, *, hint: str = "See docs/redshift-gateway.md for what the gateway does.") -> Refused:
    """A refusal of something real Redshift does and the gateway does not (SQLSTATE 0A000)."""
    return Refused("0A000", f"{construct} is not supported by the sandbox's Redshift gateway", hint=hint)


def literal(text: str) -> str:
    """`text` as an SQL literal that means the same whatever the session's rules for backslashes are."""
    quoted = text.replace("\x00", "").replace("\\", "\\\\").replace("'", "''")
    return f"E'{quoted}'" if "\\" in quoted else f"'{quoted}'"


def quoted_identifier(text: str) -> str:
    """`text` as a quoted identifier."""
    escaped = text.replace('"', '""')
    return f'"{escaped}"'


def raising_sql(refusal: Refused) -> str:
    """SQL that fails with exactly this refusal, in whatever transaction it runs."""
    options = [f"errcode = {literal(refusal.sqlstate)}", f"message = {literal(refusal.message)}"]
    if refusal.detail:
        options.append(f"detail = {literal(refusal.detail)}")
    if refusal.hint:
        options.append(f"hint = {literal(refusal.hint)}")
    body = f"begin raise exception using {', '.join(options)}; end"
    return f"DO {literal(body)}"
