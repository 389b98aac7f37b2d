"""What a SqlPipeline reads, from the declarations of the pipelines that make it."""

from collections.abc import Iterator
from pathlib import Path

from datalake_assets.catalog.schema import CatalogColumn
from datalake_assets.components.declarations import find_declaration
from datalake_assets.components.words.mistakes import Located
from datalake_assets.components.words.pipeline_spec import PipelineSpec
from datalake_assets.components.words.run import RunWords
from datalake_assets.components.words.sql_spec import ReadWords, SqlSpec
from datalake_assets.derive.query import query_mistakes
from datalake_assets.derive.reads import Read
from datalake_assets.derive.sql_derivation import SqlDerivation
from datalake_assets.errors import ConfigurationError
from datalake_assets.project import LOCATIONS_FOLDER


def build_derivation(location: str, spec: SqlSpec, folder: Path = LOCATIONS_FOLDER) -> SqlDerivation:
    """How the table of a SqlPipeline is made; reads the files of the pipelines that it names, and of no others.

    Args:
        folder: where the folders of the locations are.

    Raises:
        ConfigurationError: a pipeline that it reads does not exist or makes no lake table, or its file has mistakes.
    """
    return SqlDerivation(
        location=location,
        name=spec.name,
        sql=spec.query(folder / location / spec.name),
        columns=tuple(column.name for column in spec.columns),
        calendar=spec.calendar(),
        reads=tuple(_read(each, folder, f"{location}/{spec.name}") for each in spec.reads),
    )


def unbound_query(location: str, spec: SqlSpec, folder: Path = LOCATIONS_FOLDER) -> Iterator[Located]:
    """What DuckDB refuses of the query, over empty tables with the declared columns: names, types, columns.

    A pipeline that it reads and that is not there is told by others; the query cannot be read without it.
    """
    try:
        made = build_derivation(location, spec, folder)
    except (ConfigurationError, OSError):
        return
    day = spec.partitions.daily if spec.partitions else None
    text = f"{spec.sql.strip()}: " if spec.is_file else ""
    for mistake in query_mistakes(location, made.sql, made.columns, made.reads, day):
        yield ("sql",), f"{text}{mistake}"


def _read(words: ReadWords, folder: Path, reader: str) -> Read:
    location, _, name = words.table.partition("/")
    spec = _declared(words.table, folder, reader)
    if not isinstance(spec, PipelineSpec | SqlSpec):
        raise ConfigurationError(
            f"{words.table} makes no lake table", where=reader, expected="a LakePipeline or SqlPipeline"
        )
    return Read(
        location=location,
        table=name,
        calendar=spec.calendar(),
        columns=tuple(CatalogColumn(c.name, c.type.glue, c.description or "") for c in spec.output_columns()),
        span=words.partitions.span(),
        is_required=words.required,
    )


def _declared(table: str, folder: Path, reader: str) -> RunWords:
    if declaration := find_declaration(table, folder):
        return declaration.spec
    raise ConfigurationError(
        f"{reader} reads {table}, and there is no such pipeline",
        where=str(folder / reader),
        todo="`datalake validate` lists all that is wrong, with the nearest names",
    )
