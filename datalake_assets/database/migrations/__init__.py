"""Alembic's scripts: each file of `versions` is one step, and never changes once it was released."""
