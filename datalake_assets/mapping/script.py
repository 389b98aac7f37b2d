"""Print a mapping as a program of its own: readable, commented, without this package.

A program consists of the mapping's statements and of modules of this folder as they stand: `script_reader`,
`script_files` and the one of its engine import nothing but each other, the standard library and the engine.
"""

import ast
import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Literal, get_args

from datalake_assets.errors import Unsupported
from datalake_assets.formats.source_format import SourceFormat
from datalake_assets.mapping.columns import Column
from datalake_assets.mapping.header import wanted_paths
from datalake_assets.mapping.masks import masked_paths
from datalake_assets.mapping.script_files import Mapping
from datalake_assets.mapping.script_reader import Source
from datalake_assets.mapping.script_sql import compile_duckdb
from datalake_assets.mapping.spark_sql import compile_spark, wanted_keys
from datalake_assets.mapping.spec import MappingSpec

ScriptEngine = Literal["duckdb", "spark", "glue"]
ENGINES: tuple[ScriptEngine, ...] = get_args(ScriptEngine)

_FOLDER = Path(__file__).parent
_PACKAGE = __name__.partition(".")[0]
_MODULES: dict[ScriptEngine, tuple[str, ...]] = {
    "duckdb": ("script_reader", "script_files", "script_duckdb"),
    "spark": ("script_reader", "script_files", "script_spark"),
    "glue": ("script_reader", "script_files", "script_spark", "script_glue"),
}
_NEEDS = {
    "duckdb": "Needs Python 3.11 and duckdb, and boto3 for s3:// paths.",
    "spark": "Run it with spark-submit; needs Spark 3.5 or 4 with pyarrow, and boto3 on all machines for s3:// inputs.",
    "glue": "Run it as a job of AWS Glue 5, or with spark-submit; input and output are job parameters.",
}
# Names of settings that a program's reader does not know, with the value at which they change nothing.
_UNKNOWN_WORDS = {
    "header": 1,
    "names": (),
    "skip_rows": 0,
    "skip_footer": 0,
    "short_rows": "reject",
    "long_rows": "reject",
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
    bodies: list[str] = []
    imports: set[tuple[str, str]] = set()
    for module in _MODULES[engine]:
        body, needed = _module(module)
        bodies.append(body)
        imports |= needed
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
    if engine == "duckdb":
        statements = compile_duckdb(spec)
    else:
        queries = compile_spark(spec)
        statements = (queries.checked, queries.good, queries.quarantine)
    return Mapping(name, build_source(spec), tuple(patterns), spec.bad_rows.fail_above, *statements)


def build_source(spec: MappingSpec) -> Source:
    """How a program reads the raw files; raises as `print_script`."""
    source = spec.source
    _require_readable(source)
    required = [column.from_ for column in spec.columns if isinstance(column, Column) and column.required]
    return Source(
        columns=tuple(wanted_paths(spec)),
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
    )


def _require_readable(source: SourceFormat) -> None:
    if source.format != "csv":
        raise Unsupported(
            f"a program of its own does not read the format {source.format}",
            expected="csv",
            todo="Let the platform run this pipeline.",
        )
    words = [word for word, default in _UNKNOWN_WORDS.items() if getattr(source, word) != default]
    if words:
        raise Unsupported(
            f"a program of its own does not know {', '.join(words)} of a source",
            expected="csv files with one header line, and rows as wide as it",
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


def _module(name: str) -> tuple[str, set[tuple[str, str]]]:
    """The code of a module without its docstring and imports, and what it imports from elsewhere."""
    text = (_FOLDER / f"{name}.py").read_text()
    tree = ast.parse(text)
    lines = text.splitlines()
    imports: set[tuple[str, str]] = set()
    for node in tree.body:
        is_docstring = node is tree.body[0] and isinstance(node, ast.Expr)
        # Names for type checkers only stand in quotes.
        is_guarded = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not (is_docstring or is_guarded or isinstance(node, ast.Import | ast.ImportFrom)):
            continue
        if isinstance(node, ast.Import):
            imports |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith(_PACKAGE):
            imports |= {(node.module or "", alias.name) for alias in node.names if alias.name != "TYPE_CHECKING"}
        assert node.end_lineno is not None
        for number in range(node.lineno - 1, node.end_lineno):
            lines[number] = "\0"
    code = "\n".join(line for line in lines if line != "\0").strip("\n")
    # What is there for this package's own tools says nothing to others.
    code = re.sub(r"  # (?:type: ignore\[|noqa).*", "", code)
    docstring = ast.get_docstring(tree) or ""
    title = docstring.partition("\n")[0]
    return f"# {'-' * 118}\n# {title}\n# {'-' * 118}\n\n{code}\n", imports


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
        "CHECKED": (mapping.checked, "Texts become values, and each row gets a list of what is wrong with it."),
        "GOOD": (mapping.good, "What the table holds."),
        "QUARANTINE": (mapping.quarantine, "What was set aside, and why."),
    }
    return "\n".join(f"# {why}\n{name} = {_quoted(text)}\n" for name, (text, why) in told.items())


def _quoted(text: str) -> str:
    """A Python literal of several lines, raw where that is possible."""
    is_plain = '"""' not in text and all(letter == "\n" or letter.isprintable() for letter in text)
    return f'r"""\n{text}\n"""' if is_plain else repr(text)


def _written(value: Mapping | Source, indent: str = "") -> str:
    """The call that makes the value, without what is at its default."""
    lines = []
    statements = {"checked", "good", "quarantine"}
    for field in fields(value):
        content = getattr(value, field.name)
        if content == field.default:
            continue
        if field.name in statements and isinstance(value, Mapping):
            written = field.name.upper()
        elif isinstance(content, Source):
            written = _written(content, indent + "    ")
        else:
            written = _one_a_line(content, indent + "    ")
        lines.append(f"{indent}    {field.name}={written},")
    return f"{type(value).__name__}(\n" + "\n".join(lines) + f"\n{indent})"


def _one_a_line(content: object, indent: str) -> str:
    if not isinstance(content, tuple) or len(repr(content)) < 80:
        return repr(content)
    return "(\n" + "".join(f"{indent}    {each!r},\n" for each in content) + f"{indent})"
