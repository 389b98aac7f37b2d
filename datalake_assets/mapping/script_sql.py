"""The mapping as the DuckDB SQL of a program: the engine's own steps, over the texts that `spark_sql` knows."""

from datalake_assets import names
from datalake_assets.column_types import MAX_VARCHAR_BYTES
from datalake_assets.errors import Unsupported
from datalake_assets.mapping.header import wanted_paths
from datalake_assets.mapping.masks import salt_secrets
from datalake_assets.mapping.spark_sql import wanted_keys
from datalake_assets.mapping.spec import QUARANTINE_COLUMNS, MappingSpec
from datalake_assets.mapping.sql import NOT_NAMED
from datalake_assets.mapping.sql_columns import (
    TOO_LONG,
    Projection,
    Source,
    compile_columns,
    failure,
    null_if,
    value_names,
)
from datalake_assets.mapping.sql_text import literal


def compile_duckdb(spec: MappingSpec) -> tuple[str, str, str]:
    """The statements `checked` over the table `records`, and `good` and `quarantine` over what it becomes.

    Raises:
        Unsupported: a word that a program of its own cannot do.
    """
    _require_known_words(spec)
    paths, keys = wanted_paths(spec), wanted_keys(spec)
    position = {path: f"n{number}" for number, path in enumerate(paths)}
    key_columns = {key: f"c{number}" for number, key in enumerate(keys, start=len(paths))}
    source = Source(position.__getitem__, key_columns.__getitem__, literal, check_nul=True)
    projection = compile_columns(spec.columns, source)
    projection.add(0, "'{' || surplus || '}'", "rescued")
    told = literal(names.RESCUED_COLUMN)
    rescued = "rescued"
    if spec.on_schema_change == "discard_row":
        projection.failures.append(("rescued IS NOT NULL", failure(told, NOT_NAMED, "rescued")))
    elif spec.on_schema_change == "discard_value":
        rescued = "NULL::VARCHAR"
    else:
        too_long = f"strlen(rescued) > {MAX_VARCHAR_BYTES}"
        projection.failures.append((too_long, failure(told, TOO_LONG, "rescued")))
    texts = [f"{null_if(f'c{number}', spec.source.null_values)} AS n{number}" for number in range(len(paths))]
    return _checked(texts, projection), _good(spec, rescued), _quarantine()


def _checked(texts: list[str], projection: Projection) -> str:
    """The steps one below the other, and the list of what is wrong with a row at the end."""
    steps = [step for step in (texts, *projection.steps) if step]
    tables = ["records", *(f"step_{number}" for number in range(1, len(steps) + 1))]
    written = ",\n".join(
        f"{name} AS (\n    SELECT *,\n        " + ",\n        ".join(columns) + f"\n    FROM {before}\n)"
        for before, name, columns in zip(tables, tables[1:], steps, strict=False)
    )
    failures = ",\n            ".join(
        f"CASE WHEN {condition} THEN {told} END" for condition, told in projection.failures
    )
    broken = 'struct_pack("column" := NULL::VARCHAR, reason := reason, "value" := NULL::VARCHAR)'
    return (
        f"WITH {written},\nlisted AS (\n    SELECT *, list_filter([\n            {failures}\n"
        f"        ], lambda failure: failure IS NOT NULL) AS found\n    FROM {tables[-1]}\n)\n"
        f"SELECT * EXCLUDE (found), CASE WHEN reason IS NOT NULL THEN [{broken}]\n"
        "    WHEN len(found) > 0 THEN found END AS failures\nFROM listed"
    )


def _require_known_words(spec: MappingSpec) -> None:
    words = [
        word
        for word, is_there in (
            ("explode", spec.explode is not None),
            ("children", bool(spec.children)),
            ("salt_secret", bool(salt_secrets(spec))),
            (f"on_schema_change: {spec.on_schema_change}", spec.on_schema_change in ("evolve", "freeze")),
        )
        if is_there
    ]
    if words:
        raise Unsupported(
            f"a program of its own does not do {', '.join(words)}",
            expected="columns, deduplicate, and on_schema_change rescue, discard_row or discard_value",
            todo="Let the platform run this pipeline.",
        )


def _good(spec: MappingSpec, rescued: str) -> str:
    values = [*value_names(spec.columns), rescued, "source_file", "source_row"]
    columns = ",\n    ".join(
        f"{value} AS {names.quoted(column.name)}" for value, column in zip(values, spec.output_columns(), strict=True)
    )
    good = f"SELECT {columns}\nFROM checked\nWHERE failures IS NULL"
    if spec.deduplicate is None:
        return f"{good}\nORDER BY source_file, source_row"
    by = [names.quoted(name) for name in spec.deduplicate.by]
    order = [
        f"{names.quoted(name)} {'DESC' if is_desc else 'ASC'} NULLS LAST" for name, is_desc in spec.deduplicate.orders
    ]
    order += [f"{names.quoted(names.SOURCE_FILE_COLUMN)} DESC", f"{names.quoted(names.SOURCE_ROW_COLUMN)} DESC"]
    return (
        f"SELECT * FROM (\n{good}\n)\n"
        f"QUALIFY row_number() OVER (PARTITION BY {', '.join(by)} ORDER BY {', '.join(order)}) = 1\n"
        f"    OR {' OR '.join(f'{name} IS NULL' for name in by)}"
    )


def _quarantine() -> str:
    # concat_ws leaves out the value where there is none.
    sentence = """concat_ws(' ', coalesce(failure."column", 'record'),
                               chr(39) || failure."value" || chr(39), failure.reason)"""
    values = [
        f"array_to_string(list_transform(failures, lambda failure: {sentence}), '; ')",
        """nullif(array_to_string(list_transform(failures, lambda failure: failure."column"), ', '), '')""",
        "raw",
        "source_file",
        "source_row",
    ]
    columns = ",\n    ".join(
        f"{value} AS {names.quoted(column.name)}" for value, column in zip(values, QUARANTINE_COLUMNS, strict=True)
    )
    return f"SELECT {columns}\nFROM checked\nWHERE failures IS NOT NULL\nORDER BY source_file, source_row"
