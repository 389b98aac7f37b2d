"""Rewriting rules: Redshift's syntax into PostgreSQL's, one file per construct.

A rule says which words it needs (`TRIGGERS`) and yields edits of spans. Functions and types that need no new syntax are
SQL in `../sql`, not rules. Rules of `STRUCTURAL` move whole expressions; they run one at a time on the text that the
others made, until none has anything to do.
"""

from collections.abc import Iterator
from typing import Protocol

from datalake_assets.sandbox.redshift.rules import (
    approximate,
    create_schema,
    date_parts,
    ddl_attributes,
    decode,
    delete_from,
    extract,
    grants,
    hash_names,
    identity,
    late_binding,
    listagg,
    maintenance,
    qualify,
    ratio_to_report,
    renamed_functions,
    settings,
    system_columns,
    types,
)
from datalake_assets.sandbox.redshift.tokens import Edit, Statement


class Rule(Protocol):
    """A module of this folder."""

    TRIGGERS: frozenset[str]

    def edits(self, statement: Statement) -> Iterator[Edit]:
        """Yield the edits this statement needs."""
        ...


SPANS: tuple[Rule, ...] = (
    ddl_attributes,
    identity,
    types,
    late_binding,
    create_schema,
    hash_names,
    grants,
    settings,
    maintenance,
    delete_from,
    date_parts,
    extract,
    listagg,
    approximate,
    renamed_functions,
    system_columns,
)
STRUCTURAL: tuple[Rule, ...] = (decode, ratio_to_report, qualify)
