"""The rows that were set aside, as DuckDB SQL over their `failures`."""

from datalake_assets import names
from datalake_assets.mapping.spec import QUARANTINE_COLUMNS

NO_FAILURES = '[]::STRUCT("column" VARCHAR, reason VARCHAR, "value" VARCHAR)[]'
# Where a value stands among the elements of arrays does not make another reason of it.
GENERIC_COLUMN = r"""regexp_replace(failure."column", '\[[0-9]+\]', '[]', 'g')"""


def quarantine_columns(file: str) -> list[str]:
    """`value AS name` of each column of the quarantine, over rows with `failures`, `raw` and `source_row`.

    Args:
        file: the column that says which file a row comes from.
    """
    # concat_ws leaves out the value where there is none.
    sentence = """concat_ws(' ', coalesce(failure."column", 'record'),
                               chr(39) || failure."value" || chr(39), failure.reason)"""
    values = [
        f"array_to_string(list_transform(failures, lambda failure: {sentence}), '; ')",
        f"nullif(array_to_string(list_transform(failures, lambda failure: {GENERIC_COLUMN}), ', '), '')",
        "raw",
        file,
        "source_row",
    ]
    return [f"{value} AS {names.quoted(column.name)}" for value, column in zip(values, QUARANTINE_COLUMNS, strict=True)]
