"""What Alembic runs for every command: our caller's connection, our tables."""

from alembic import context

from datalake_assets.database.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
