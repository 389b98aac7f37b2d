"""Accounts and pipelines as commands write and delete them: whole or not at all, whoever else is writing."""
