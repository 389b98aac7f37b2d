"""SHOW SCHEMAS, TABLES, COLUMNS, GRANTS … : Redshift's commands, answered by functions of sql/show.sql."""

from datalake_assets.sandbox.redshift.refusals import Refused, literal, unsupported
from datalake_assets.sandbox.redshift.rules.settings import REDSHIFT_SETTINGS
from datalake_assets.sandbox.redshift.tokens import Kind, Statement

_REFUSED = ("view", "table", "procedures", "functions", "constraints", "parameters", "policies", "template")


def rewrite(statement: Statement) -> str | None:
    """Return the query that answers a SHOW command, or None if it shows a setting."""
    kind = statement.word(1)
    if kind == "databases":
        return f"select * from redshift_compat.show_databases({_like(statement, 2)})"
    if kind == "schemas":
        parts, index = _name_after(statement, 2, "from", "database", names=1)
        return f"select * from redshift_compat.show_schemas({literal(parts[0])}, {_like(statement, index)})"
    if kind == "tables":
        parts, index = _name_after(statement, 2, "from", "schema", names=2)
        return f"select * from redshift_compat.show_tables({_list(parts, 2)}, {_like(statement, index)})"
    if kind == "columns":
        parts, index = _name_after(statement, 2, "from", "table", names=3)
        return f"select * from redshift_compat.show_columns({_list(parts, 3)}, {_like(statement, index)})"
    if kind == "grants":
        return _grants(statement)
    if kind in _REFUSED and len(statement) > 2:
        raise unsupported(f"SHOW {kind.upper()}")
    if kind in REDSHIFT_SETTINGS:
        # Redshift shows an empty value where PostgreSQL would not know the setting before its first SET.
        return f"select coalesce(current_setting({literal('redshift.' + kind)}, true), '') as {kind}"
    return None


def _name_after(statement: Statement, index: int, *words: str, names: int) -> tuple[list[str], int]:
    if not statement.starts(*words, at=index):
        raise Refused("42601", f"syntax error in SHOW {statement.word(1).upper()}: {' '.join(words).upper()} expected")
    parts, end = statement.qualified_name(index + len(words))
    if not 1 <= len(parts) <= names:
        raise Refused("42601", f"syntax error in SHOW {statement.word(1).upper()}: a name of {names} parts expected")
    return parts, end


def _list(parts: list[str], count: int) -> str:
    """The parts as literals, the database first; parts left out are null."""
    return ", ".join(["null"] * (count - len(parts)) + [literal(part) for part in parts])


def _like(statement: Statement, index: int) -> str:
    if statement.word(index) == "like":
        if index + 1 < len(statement) and statement.tokens[index + 1].kind is Kind.STRING:
            return statement.text(index + 1)
        raise Refused("42601", "syntax error in SHOW: LIKE needs a quoted pattern")
    return "'%'"


def _grants(statement: Statement) -> str:
    if statement.word(2) != "on":
        raise unsupported("SHOW GRANTS without ON")
    if statement.word(3) == "schema":
        parts, _ = statement.qualified_name(4)
        return f"select * from redshift_compat.show_schema_grants({_list(parts, 2)})"
    if statement.word(3) in ("database", "function", "procedure"):
        raise unsupported(f"SHOW GRANTS ON {statement.word(3).upper()}")
    parts, _ = statement.qualified_name(4 if statement.word(3) == "table" else 3)
    return f"select * from redshift_compat.show_grants({_list(parts, 3)})"
