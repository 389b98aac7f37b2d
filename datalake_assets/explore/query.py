"""One entry for all engines."""

from typing import Any, Literal, get_args

from datalake_assets.errors import ConfigurationError
from datalake_assets.explore.result import QueryResult

Engine = Literal["duckdb", "athena", "redshift"]
ENGINES: tuple[str, ...] = get_args(Engine)


def query(sql: str, *, account: str | None = None, engine: Engine = "duckdb", **options: Any) -> QueryResult:
    """Run one SQL statement that reads, over the lake's tables.

    Args:
        sql: SELECT, WITH, DESCRIBE, SHOW TABLES or EXPLAIN, in the engine's dialect.
        account: the location whose database is meant where a table has none, by name or id; for `redshift`, whose
            warehouse. One account needs no name.
        engine: `duckdb` reads the published Parquet objects on this machine; `athena` and `redshift` ask AWS.
        options: `memory_limit` and `threads` of DuckDB; `workgroup` and `results` (an S3 URI) of Athena.

    Returns:
        The rows, which come while they are read.

    Raises:
        InvalidQuery: the statement is wrong, names what is not there, or would change something.
        PlatformError: the engine, the catalog or S3 failed.
    """
    if engine == "duckdb":
        from datalake_assets.explore.duckdb_engine import run as run_duckdb

        return run_duckdb(sql, account=account, **options)
    if engine == "athena":
        from datalake_assets.explore.athena import run as run_athena

        return run_athena(sql, account=account, **options)
    if engine == "redshift":
        from datalake_assets.explore.redshift import run as run_redshift

        return run_redshift(sql, account=account, **options)
    raise ConfigurationError(f"there is no engine {engine!r}", expected=f"one of {', '.join(ENGINES)}")
