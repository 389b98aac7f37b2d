"""Print a mapping as a program of its own: readable, commented, without this package.

A program consists of the mapping's statements and of what it needs of modules of this package, as they stand there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import IO, Any, Literal, get_args

from datalake_assets.errors import Unsupported
from datalake_assets.formats.paths import path_parts
from datalake_assets.formats.source_format import SourceFormat
from datalake_assets.mapping.columns import Column
from datalake_assets.mapping.header import wanted_paths
from datalake_assets.mapping.masks import masked_paths
from datalake_assets.mapping.scripts.script_bundle import bundle
from datalake_assets.mapping.scripts.script_elements import expand
from datalake_assets.mapping.scripts.script_files import Mapping
from datalake_assets.mapping.scripts.script_levels import element_tables, wanted_keys
from datalake_assets.mapping.scripts.script_reader import Elements, Row, Shape, Source, read_csv
from datalake_assets.mapping.scripts.script_records import read_json, read_odd_csv
from datalake_assets.mapping.scripts.script_sql import compile_duckdb
from datalake_assets.mapping.spark.sql import compile_spark, spark_shapes
from datalake_assets.mapping.spec import MappingSpec

ScriptEngine = Literal["duckdb", "spark", "glue"]
ENGINES: tuple[ScriptEngine, ...] = get_args(ScriptEngine)

_PACKAGE = __name__.partition(".")[0]
_READERS = (
    "mapping.scripts.script_errors",
    "formats.encoding",
    "formats.lines",
    "formats.paths",
    "formats.batches",
    "formats.json_text",
    "formats.json_records",
    "formats.delimited.csv_fields",
    "formats.delimited.csv_lines",
    "formats.delimited.csv_kinds",
    "formats.delimited.csv_block",
    "formats.delimited.csv_rows",
    "formats.delimited.csv_tables",
    "formats.delimited.csv_records",
    "mapping.scripts.script_reader",
    "mapping.scripts.script_json",
    "mapping.scripts.script_records",
    "mapping.scripts.script_elements",
    "mapping.scripts.script_files",
)
_MODULES: dict[ScriptEngine, tuple[str, ...]] = {
    "duckdb": (*_READERS, "mapping.scripts.script_duckdb"),
    "spark": (*_READERS, "mapping.scripts.script_spark"),
    "glue": (*_READERS, "mapping.scripts.script_spark", "mapping.scripts.script_glue"),
}
_NEEDS = {
    "duckdb": "Needs Python 3.11 and duckdb, and boto3 for s3:// paths.",
    "spark": "Run it with spark-submit; needs Spark 3.5 or 4 with pyarrow, and boto3 on all machines for s3:// inputs.",
    "glue": "Run it as a job of AWS Glue 5, or with spark-submit; input and output are job parameters.",
}


def print_script(name: str, spec: MappingSpec, patterns: Sequence[str], engine: ScriptEngine) -> str:
    """The text of the program.

    Args:
        name: of the pipeline, for its messages.
        patterns: of the raw files' keys, relative to the input.

    Raises:
        Unsupported: the pipeline has a word or a format that such a program cannot do.
    """
    mapping = build_mapping(name, spec, patterns, engine)
    modules = [f"{_PACKAGE}.{name}" for name in _MODULES[engine]]
    functions = [each for each in (mapping.read, mapping.expand) if each is not None]
    roots = [(modules[-1], "main"), (Mapping.__module__, "Mapping"), (Source.__module__, "Source")]
    roots += [(each.__module__, each.__name__) for each in functions]
    roots += [(Elements.__module__, "Elements")] * bool(mapping.source.elements)
    roots += [(Shape.__module__, "Shape")] * bool(mapping.source.shapes)
    bodies, imports = bundle(modules, roots)
    return "\n".join(
        [
            "#!/usr/bin/env python3",
            f'"""{_docstring(mapping, engine)}"""',
            "",
            *_import_lines(imports),
            "",
            *(f"\n{body}" for body in (_statements(mapping), *bodies)),
            "",
            f"MAPPING = {_written(mapping)}",
            "",
            'if __name__ == "__main__":',
            "    sys.exit(main(MAPPING))",
            "",
        ]
    )


def build_mapping(name: str, spec: MappingSpec, patterns: Sequence[str], engine: ScriptEngine) -> Mapping:
    """What the program of an engine is about; raises as `print_script`."""
    statements = compile_duckdb(spec) if engine == "duckdb" else compile_spark(spec)
    source = build_source(spec, engine)
    return Mapping(
        name=name,
        source=source,
        patterns=tuple(patterns),
        fail_above=spec.bad_rows.fail_above,
        read=_reader_of(spec.source),
        tables=statements.tables,
        outputs=statements.outputs,
        mapped=statements.mapped,
        expand=expand if source.elements or source.shapes else None,
    )


def build_source(spec: MappingSpec, engine: ScriptEngine = "duckdb") -> Source:
    """How a program reads the raw files; raises as `print_script`."""
    source = spec.source
    _require_readable(source)
    required = [column.from_ for column in spec.columns if isinstance(column, Column) and column.required]
    columns = tuple(wanted_paths(spec))
    return Source(
        columns=columns,
        paths=() if source.is_flat else tuple(path_parts(path) for path in columns),
        required=tuple(dict.fromkeys(required)),
        masked=masked_paths(spec),
        keys=tuple(wanted_keys(spec)),
        null_values=source.null_values,
        format=source.format,
        encoding=source.encoding,
        compression=source.compression,
        delimiter=source.delimiter,
        quote=source.quote,
        escape=source.escape,
        header=source.header,
        names=source.names,
        skip_rows=source.skip_rows,
        skip_footer=source.skip_footer,
        short_rows=source.short_rows,
        long_rows=source.long_rows,
        tables=source.tables,
        layout=source.layout,
        records=source.records,
        elements=tuple(table.elements for table in element_tables(spec)),
        shapes=() if engine == "duckdb" else spark_shapes(spec),
    )


def _reader_of(source: SourceFormat) -> Callable[[IO[bytes], str, Source], Iterator[Row]]:
    if source.format == "json":
        return read_json
    is_plain = (
        len(source.delimiter) == 1
        and source.delimiter.isascii()
        and source.header <= 1
        and source.skip_footer == 0
        and (source.short_rows, source.long_rows, source.tables) == ("reject", "reject", "all")
    )
    return read_csv if is_plain else read_odd_csv


def _require_readable(source: SourceFormat) -> None:
    if source.format not in ("csv", "json"):
        raise Unsupported(
            f"a program of its own does not read the format {source.format}",
            expected="csv or json",
            todo="Let the platform run this pipeline.",
        )


def _import_lines(imports: set[tuple[str, str]]) -> list[str]:
    """Import statements for pairs of a module and a name in it, the empty name for the module itself."""
    modules = sorted({module for module, name in imports if not name})
    named: dict[str, list[str]] = {}
    for module, name in sorted(imports, key=lambda each: (each[0], each[1].lower())):
        if name:
            named.setdefault(module, []).append(name)
    return [*(f"import {module}" for module in modules), *(f"from {m} import {', '.join(n)}" for m, n in named.items())]


def _docstring(mapping: Mapping, engine: ScriptEngine) -> str:
    partition = (
        f"\n    --partition KEY   only the files of this partition: {' or '.join(mapping.patterns)} below the input"
        if any("{" in pattern for pattern in mapping.patterns)
        else ""
    )
    return f"""Map the raw files of {mapping.name} to Parquet: good rows, and rows set aside with their reason.

    --input PATH      a file, a folder, or s3://bucket/prefix
    --output PATH     an empty folder or s3://bucket/prefix; gets good/ and quarantine/{partition}

{_NEEDS[engine]}
Every record of a file ends in good or in quarantine, never in both and never in neither; `_source_file` and
`_source_row` say where it is from. The exit code is 1 when more than {mapping.fail_above:.6g} of the rows are bad.
"""


def _statements(mapping: Mapping) -> str:
    told = {
        "checked": "Texts become values, and each row gets a list of what is wrong with it.",
        "judged": "What is wrong with the elements of a record is wrong with the record.",
        "good": "What the table holds.",
        "good_rows": "What the table holds.",
        "quarantine": "What was set aside, and why.",
    }
    written = []
    for name, text in (*mapping.tables, *mapping.outputs):
        default = "The values of elements." if name.startswith("checked_") else "What a table of children holds."
        written.append(f"# {told.get(name, default)}\n{_constant(name)} = {_quoted(text)}\n")
    return "\n".join(written)


def _constant(name: str) -> str:
    return name.upper().replace("CHILDREN/", "CHILD_")


def _quoted(text: str) -> str:
    """A Python literal of several lines, raw where that is possible."""
    is_plain = '"""' not in text and all(letter == "\n" or letter.isprintable() for letter in text)
    return f'r"""\n{text}\n"""' if is_plain else repr(text)


def _written(value: Any, indent: str = "") -> str:
    """The call that makes a value of the reader's own classes, without what is at its default."""
    lines = []
    for field in fields(value):
        content = getattr(value, field.name)
        if content == field.default:
            continue
        if field.name in ("tables", "outputs") and isinstance(value, Mapping):
            pairs = "".join(f"{indent}        ({name!r}, {_constant(name)}),\n" for name, _ in content)
            written = f"(\n{pairs}{indent}    )"
        elif callable(content):
            written = content.__name__
        elif isinstance(content, Source):
            written = _written(content, indent + "    ")
        elif content and isinstance(content, tuple) and isinstance(content[0], Elements | Shape):
            each = "".join(f"{indent}        {_written(one, indent + '        ')},\n" for one in content)
            written = f"(\n{each}{indent}    )"
        else:
            written = _one_a_line(content, indent + "    ")
        lines.append(f"{indent}    {field.name}={written},")
    return f"{type(value).__name__}(\n" + "\n".join(lines) + f"\n{indent})"


def _one_a_line(content: object, indent: str) -> str:
    if not isinstance(content, tuple) or len(repr(content)) < 80:
        return repr(content)
    return "(\n" + "".join(f"{indent}    {each!r},\n" for each in content) + f"{indent})"
