"""Put Redshift's functions, types and system views into a PostgreSQL database.

They are SQL files beside this module, run in the order of their names. What Redshift keeps in pg_catalog goes there,
so that it is found under every `search_path`; tables and what differs from a built-in of the same name go to the schema
`redshift_compat`.
"""

import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from datalake_assets.errors import AccessDenied, Unavailable

_LOCK = 0x52454453  # an advisory lock of our own: two installers take turns


def install(connection_settings: Mapping[str, Any]) -> bool:
    """Bring the database to this version; return whether anything had to be done.

    Args:
        connection_settings: what `psycopg2.connect` takes: host, port, user, password, dbname. The user has to be a
            superuser: only those create functions in pg_catalog. Go to PostgreSQL directly, not through the gateway.

    Raises:
        Unavailable: the database does not answer, or refuses the login.
        AccessDenied: the user is not a superuser.
    """
    import psycopg2

    where = "PostgreSQL {host}:{port}/{dbname}".format(**{"host": "", "port": "", "dbname": "", **connection_settings})
    scripts = _scripts()
    version = hashlib.sha256("".join(scripts).encode()).hexdigest()
    try:
        connection = psycopg2.connect(**connection_settings)
    except psycopg2.OperationalError as error:
        raise Unavailable(str(error).strip(), where=where) from error
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
            cursor.execute("select rolsuper from pg_roles where rolname = current_user")
            if cursor.fetchone() != (True,):
                raise AccessDenied(
                    "the user may not create functions in pg_catalog", where=where, expected="a superuser"
                )
            if _installed_version(cursor) == version:
                return False
            cursor.execute("set local allow_system_table_mods = on; set local standard_conforming_strings = on")
            for script in scripts:
                cursor.execute(script)
            cursor.execute("truncate redshift_compat.installed")
            cursor.execute("insert into redshift_compat.installed (version) values (%s)", (version,))
            return True
    finally:
        connection.close()


def _scripts() -> list[str]:
    folder = files("datalake_assets.sandbox.redshift") / "sql"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(folder / name).read_text(encoding="utf-8") for name in names]


def _installed_version(cursor: Any) -> str | None:
    cursor.execute("select to_regclass('redshift_compat.installed') is not null")
    if cursor.fetchone() != (True,):
        return None
    cursor.execute("select max(version) from redshift_compat.installed")
    (version,) = cursor.fetchone()
    return None if version is None else str(version)
