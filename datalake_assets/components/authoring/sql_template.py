"""The files of a new SqlPipeline: a query over lake tables that runs as it is, whatever columns they have."""

from collections.abc import Sequence
from dataclasses import dataclass

from datalake_assets.components.authoring.words import NewName, filled
from datalake_assets.components.yaml_text import text

_DECLARATION = """\
# Tables of the lake become another one, by SQL. All words: docs/sql-pipelines.md. `datalake validate` binds the query.
type: datalake_assets.components.SqlPipeline
attributes:
  name: <name>  # of this folder, of the table and of the job
  description: How many rows its tables have.  # shown in the UI
  owner: <owner>  # whom alerts name: team:NAME or an e-mail address
  reads:  # tables of any account that grants them, as account/table
<reads>
  sql: <name>.sql
<partitions>
  # Without a `trigger` it runs when all that it reads is there. Other ways, such as a schedule, one of several parents
  # or a parent that failed: docs/triggers.md
  # trigger: {schedule: {hour: 6}}
  retries: 1  # a failed run is started once more
  max_runtime: 1h
  columns:  # of the result; a row with a value that is not of its type goes to <name>_quarantine
    - {name: table_name, type: varchar, required: true, description: The table that is read}
    - {name: row_count, type: bigint, required: true, description: How many rows it has}
  checks:  # what must hold before readers see the rows; `severity: warn` only tells people
    - {unique: [table_name]}
    - {expression: "row_count >= 0", name: counts_are_not_negative}
  warehouse: {table: <warehouse>, <mode>}  # without it, the data ends in the lake
"""

_DAILY_READS = """\
    # Of each, the day of the partition. The last seven: {table: …, partitions: {last: 7}}"""
_DAILY_PARTITIONS = """\
  # One partition a day from then on.
  partitions: {daily: "<day>"<end>}"""
_NO_PARTITIONS = """\
  # No partitions, as what it reads has none: each run replaces the whole table."""

_DAILY_SQL = """\
-- Tables are called account.table, and hold the partitions that defs.yaml asks for: the column dt says which.
-- $partition is the day that is computed, a DATE; `now()` and the like are refused, for a day must come out the same
-- whenever it is computed again.
"""
_SQL = """\
-- Tables are called account.table. `datalake query` tries a query out.
"""

_TEST = '''\
"""What the query makes of given rows; pytest runs this without AWS."""

from pathlib import Path

from datalake_assets.testing import run_sql

FOLDER = Path(__file__).parent


def test_the_rows_of_each_table_are_counted() -> None:
    made = run_sql(
        FOLDER,
        # Columns that are not named are null.
        {
<given>
        },<partition>
    )
    assert made.set_aside == []
    assert made.failed_checks == []
    assert made.rows == [
<expected>
    ]


def test_tables_without_rows_count_as_nothing() -> None:
    made = run_sql(FOLDER, {}<no partition>)
    assert [row["row_count"] for row in made.rows] == [<zeros>]
'''


@dataclass(frozen=True)
class ReadTable:
    """A lake table that the query reads: `account/table`, and whether it has a partition for each day."""

    name: str
    is_partitioned: bool

    @property
    def in_sql(self) -> str:
        return self.name.replace("/", ".")


def sql_files(
    new: NewName, *, reads: Sequence[ReadTable], is_daily: bool, end: str | None, warehouse: str
) -> dict[str, str]:
    """The files of the pipeline by their names.

    Args:
        is_daily: whether it has a partition for each day from `new.day` on.
        end: the day after the last of them, if what it reads has one.
    """
    listed = "\n".join(f"    - {text(each.name)}" for each in reads)
    words = {
        "reads": f"{_DAILY_READS}\n{listed}" if is_daily else listed,
        "partitions": filled(_DAILY_PARTITIONS, new, end=f', end: "{end}"' if end else "")
        if is_daily
        else _NO_PARTITIONS,
        "warehouse": warehouse,
        "mode": "mode: copy, sort: [dt]" if is_daily else "mode: merge, key: [table_name]",
    }
    return {
        "defs.yaml": filled(_DECLARATION, new, **words),
        f"{new.name}.sql": (_DAILY_SQL if is_daily else _SQL) + _query(reads),
        new.test_name: _test(new, reads, is_daily=is_daily),
    }


def _query(reads: Sequence[ReadTable]) -> str:
    parts = [
        f"SELECT\n    '{each.in_sql}' AS table_name,\n    count(*) AS row_count\nFROM {each.in_sql}\n" for each in reads
    ]
    # By their names, so that two runs write the same rows in the same order.
    return "UNION ALL\n".join(parts) + "ORDER BY table_name\n"


def _test(new: NewName, reads: Sequence[ReadTable], *, is_daily: bool) -> str:
    ordered = sorted(reads, key=lambda each: each.in_sql)
    day = f'{{"dt": "{new.day}"}}'
    given = [f'            "{each.name}": [{day}, {day}],' if each.is_partitioned else
             f'            "{each.name}": [{{}}, {{}}],' for each in ordered]  # fmt: skip
    return filled(
        _TEST,
        new,
        given="\n".join(given),
        partition=f'\n        partition="{new.day}",' if is_daily else "",
        **{
            "no partition": f', partition="{new.day}"' if is_daily else "",
            "expected": "\n".join(f'        {{"table_name": "{each.in_sql}", "row_count": 2}},' for each in ordered),
            "zeros": ", ".join("0" for _ in ordered),
        },
    )
