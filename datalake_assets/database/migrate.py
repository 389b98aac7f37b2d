"""Bring the platform database to the tables of this version."""

import logging
from pathlib import Path

from datalake_assets.database.engine import engine, transaction

MIGRATIONS = Path(__file__).with_name("migrations")

# Any constant will do, as long as nobody else in this database uses it.
_ADVISORY_LOCK = 0x6461_7461


def migrate(url: str | None = None) -> None:
    """Create or upgrade all tables; do nothing when they are those of this version.

    Two processes may call it at once: the second waits for the first and finds nothing to do. A migration that fails
    leaves the database as it was.

    Args:
        url: `postgresql+psycopg2://…`; the platform database of the environment by default.

    Raises:
        Unavailable: the server does not answer.
        AccessDenied: the user is refused or may not create tables.
    """
    import io

    from alembic import command
    from alembic.config import Config
    from sqlalchemy import text

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config(stdout=io.StringIO())
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with transaction(engine(url)) as connection:
        # A lock of the transaction, not of the session: a killed process cannot leave it behind.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
