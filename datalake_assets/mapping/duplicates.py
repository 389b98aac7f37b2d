"""Drop repeated rows of a mapped partition: `deduplicate`, over all of its Parquet files.

Rows are compared by their keys and order alone, and only the places of those to drop are kept: most partitions have
few, so that memory stays small and files without any of them are not written again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from datalake_assets import names
from datalake_assets.mapping.children import Deduplicate
from datalake_assets.mapping.sql_text import COPY_OPTIONS, literal, literals

if TYPE_CHECKING:
    import duckdb

# The place of an exploded element within its record, in the files until duplicates are dropped; no column can have
# this name.
ITEM_COLUMN = '"#"'


def drop_duplicates(
    connection: "duckdb.DuckDBPyConnection",
    deduplicate: Deduplicate,
    files: Sequence[Path],
    children: Sequence[Path],
    *,
    is_exploded: bool,
) -> int:
    """Write the files that hold dropped rows again without them, and without those of their children.

    Args:
        files: of the table; all have the same columns.
        children: files of its child tables.

    Returns:
        How many rows of the table were dropped.
    """
    place = [names.quoted(names.SOURCE_FILE_COLUMN), names.quoted(names.SOURCE_ROW_COLUMN)]
    place += [ITEM_COLUMN] if is_exploded else []
    keys = ", ".join(names.quoted(name) for name in deduplicate.by)
    order = [f"{names.quoted(name)} {'DESC' if is_last else 'ASC'} NULLS LAST" for name, is_last in deduplicate.orders]
    order += [f"{each} DESC" for each in place]
    known = " AND ".join(f"{names.quoted(name)} IS NOT NULL" for name in deduplicate.by)
    connection.execute(f"""
CREATE OR REPLACE TABLE dropped AS
SELECT {", ".join(place)} FROM (
    SELECT {", ".join(place)}, row_number() OVER (PARTITION BY {keys} ORDER BY {", ".join(order)}) AS place_in_order
    FROM {_reader(files)} WHERE {known}
) WHERE place_in_order > 1""")
    ((count,),) = connection.execute("SELECT count(*) FROM dropped").fetchall()
    if count or is_exploded:
        surplus = f"EXCLUDE ({ITEM_COLUMN})" if is_exploded else ""
        for path in files:
            _rewrite(connection, path, f"SELECT * {surplus} FROM {_reader([path])}{_without_dropped(place, count)}")
    if count:
        for path in children:
            _rewrite(connection, path, f"SELECT * FROM {_reader([path])}{_without_dropped(place[:2], count)}")
    return int(count)


def _without_dropped(place: Sequence[str], count: int) -> str:
    return f" ANTI JOIN dropped USING ({', '.join(place)})" if count else ""


def _reader(files: Sequence[Path]) -> str:
    return f"read_parquet([{literals([str(path) for path in files])}])"


def _rewrite(connection: "duckdb.DuckDBPyConnection", path: Path, query: str) -> None:
    beside = path.with_suffix(".deduplicated")
    connection.execute(f"COPY ({query}) TO {literal(str(beside))} {COPY_OPTIONS}")
    beside.replace(path)
