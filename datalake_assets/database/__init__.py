"""The platform database: its tables, its connections and its migrations.

PostgreSQL holds the arrival ledger and the alert outbox. Import `tables` only inside functions: it brings SQLAlchemy,
which a code location does not need in order to load.
"""
