"""Read every `defs.yaml` below a folder and report all mistakes of all files at once.

Dagster's own check stops at the last instance of each component type and at the first mistake; a team that renames a
column in ten pipelines wants ten lines.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from datalake_assets.components.words.crawl_spec import CrawlSpec
from datalake_assets.components.words.pipeline_spec import PipelineSpec
from datalake_assets.components.words.run import RunWords
from datalake_assets.components.yaml_file import Mistake, YamlFile, allowed_values
from datalake_assets.errors import ConfigurationError
from datalake_assets.names import quarantine_table

FILE_NAMES = ("defs.yaml", "defs.yml")
LAKE_PIPELINE = "datalake_assets.components.LakePipeline"
CRAWL_ASSET = "datalake_assets.components.CrawlAsset"
SQL_PIPELINE = "datalake_assets.components.SqlPipeline"
STEPS_PIPELINE = "datalake_assets.components.StepsPipeline"
# Type → where its words are; a module is imported when a file is of its type.
_TYPES = {
    LAKE_PIPELINE: ("datalake_assets.components.words.pipeline_spec", "PipelineSpec"),
    SQL_PIPELINE: ("datalake_assets.components.words.sql_spec", "SqlSpec"),
    STEPS_PIPELINE: ("datalake_assets.components.words.steps_spec", "StepsSpec"),
    CRAWL_ASSET: ("datalake_assets.components.words.crawl_spec", "CrawlSpec"),
}
ENVELOPE = ("type", "attributes", "requirements", "template_vars_module", "post_processing")


@dataclass(frozen=True)
class AnyDeclaration:
    """One declared pipeline of any type and the file it stands in."""

    path: Path
    spec: RunWords

    @property
    def location(self) -> str:
        """The code location whose folder it is in."""
        return self.path.absolute().parent.parent.name

    @property
    def name(self) -> str:
        """`location/pipeline`."""
        return f"{self.location}/{self.spec.name}"


@dataclass(frozen=True)
class Declaration(AnyDeclaration):
    """One declared LakePipeline and the file it stands in."""

    spec: PipelineSpec


@dataclass(frozen=True)
class CrawlDeclaration:
    """One declared crawl and the file it stands in."""

    path: Path
    spec: CrawlSpec


@dataclass(frozen=True)
class Everything:
    """All that stands below a folder.

    Args:
        broken: the files that hold a mistake by themselves.
    """

    pipelines: tuple[AnyDeclaration, ...]
    crawls: tuple[CrawlDeclaration, ...]
    mistakes: tuple[Mistake, ...]
    broken: tuple[Path, ...]


def read_everything(folder: Path) -> Everything:
    """Read all files below a folder (or one file), in the order of their paths, whatever mistakes they hold."""
    paths = [folder] if folder.is_file() else sorted(p for name in FILE_NAMES for p in folder.rglob(name))
    pipelines: list[AnyDeclaration] = []
    crawls: list[CrawlDeclaration] = []
    mistakes: list[Mistake] = []
    broken: list[Path] = []
    for path in paths:
        result = _read(path)
        if isinstance(result, list):
            mistakes += result
            broken.append(path)
        elif isinstance(result, AnyDeclaration):
            pipelines.append(result)
        else:
            crawls.append(result)
    mistakes += _repeated_names(pipelines)
    return Everything(tuple(pipelines), tuple(crawls), tuple(mistakes), tuple(broken))


def read_all(folder: Path) -> list[AnyDeclaration]:
    """Read the pipelines of all types below a folder (or of one file), in the order of their paths; crawls are none.

    Raises:
        ConfigurationError: one line `file:line:column: path: what is wrong` for every mistake of every file, those of
            crawls too.
    """
    return list(_flawless(folder).pipelines)


def read_declarations(folder: Path) -> list[Declaration]:
    """Read all LakePipelines below a folder (or of one file); raises as `read_all`."""
    return [each for each in _flawless(folder).pipelines if isinstance(each, Declaration)]


def find_declaration(pipeline: str, folder: Path) -> AnyDeclaration | None:
    """Read the declaration of one pipeline, `location/name`, and no other file; None if there is none or it is a crawl.

    Args:
        folder: where the folders of the locations are.

    Raises:
        ConfigurationError: its file has mistakes, as `read_all` tells them.
    """
    for name in FILE_NAMES:
        if (path := folder / pipeline / name).is_file() and (found := read_all(path)):
            return found[0]
    return None


def _flawless(folder: Path) -> Everything:
    found = read_everything(folder)
    refuse_all(found.mistakes)
    return found


def types() -> dict[str, type[RunWords] | type[CrawlSpec]]:
    """The words of each type of file."""
    return {kind: _model(kind) for kind in _TYPES}


@cache
def _model(kind: str) -> type[RunWords] | type[CrawlSpec]:
    module, name = _TYPES[kind]
    model: type[RunWords] | type[CrawlSpec] = getattr(importlib.import_module(module), name)
    return model


def unbound_expressions(declarations: Sequence[AnyDeclaration]) -> list[Mistake]:
    """What DuckDB refuses of the expressions of all columns and checks, each read against the columns of its table.

    Reading the YAML has checked their syntax and columns. This tells what takes a database: that a function exists,
    that types fit, that the answer of a check is a boolean. A code location does without, for DuckDB takes a moment to
    import.
    """
    from datalake_assets.components.words.sql_spec import SqlSpec
    from datalake_assets.mapping import bind, checks

    mistakes: list[Mistake] = []
    for path, spec in ((each.path, each.spec) for each in declarations):
        if not isinstance(spec, PipelineSpec | SqlSpec):
            continue
        if isinstance(spec, PipelineSpec):
            mistakes += [mistake_in(path, ("attributes", *place), text) for place, text in bind.bind_columns(spec)]
        if not any(check.expression for check in spec.checks):
            continue
        columns = spec.mapping().output_columns()
        for at, text in checks.bind_expressions(spec.checks, columns, is_partitioned=spec.partitions is not None):
            mistakes.append(mistake_in(path, ("attributes", "checks", at, "expression"), text))
    return mistakes


def refuse_all(mistakes: Sequence[Mistake]) -> None:
    """Raise for all mistakes at once; nothing if there are none.

    Raises:
        ConfigurationError: with a line for each.
    """
    if mistakes:
        noun = "mistake" if len(mistakes) == 1 else "mistakes"
        listed = "\n".join(f"  {mistake}" for mistake in mistakes)
        raise ConfigurationError(f"{len(mistakes)} {noun} in the declared pipelines:\n{listed}")


def _read(path: Path) -> "AnyDeclaration | CrawlDeclaration | list[Mistake]":
    parsed = YamlFile.parse(path, shown_as=_shown(path))
    if isinstance(parsed, Mistake):
        return [parsed]
    if not isinstance(parsed.data, dict):
        return [parsed.mistake((), "the file does not hold a mapping; expected `type:` and `attributes:`")]
    mistakes = [
        parsed.mistake((key,), f"unknown key; allowed: {', '.join(ENVELOPE)}", at_key=True)
        for key in parsed.data
        if key not in ENVELOPE
    ]
    kind = parsed.data.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:
        return [*mistakes, parsed.mistake(("type",), f"found {kind!r}{allowed_values(str(kind), list(_TYPES))}")]
    if not isinstance(parsed.data.get("attributes"), dict):
        return [*mistakes, parsed.mistake(("attributes",), "this key is required and holds the attributes")]
    spec: RunWords | CrawlSpec | list[Mistake] = parsed.validate(_model(kind), ("attributes",))
    if isinstance(spec, list):
        return mistakes + spec
    if spec.name != path.parent.name:
        mistakes.append(
            parsed.mistake(
                ("attributes", "name"),
                f"found {spec.name!r} in the folder {path.parent.name!r}; a pipeline has the name of its folder",
            )
        )
    if isinstance(spec, PipelineSpec):
        declaration: AnyDeclaration = Declaration(path, spec)
    elif isinstance(spec, RunWords):
        declaration = AnyDeclaration(path, spec)
    else:
        if spec.classifiers and not (path.parent / spec.classifiers).is_file():
            text = f"there is no file {spec.classifiers!r} beside the defs.yaml"
            mistakes.append(parsed.mistake(("attributes", "classifiers"), text))
        return mistakes or CrawlDeclaration(path, spec)
    beside = declaration.spec.mistakes_beside(path.parent)
    mistakes += [parsed.mistake(("attributes", *place), text) for place, text in beside]
    return mistakes or declaration


def _repeated_names(found: Sequence[AnyDeclaration]) -> list[Mistake]:
    """Two pipelines of one location must not write the same lake or warehouse table."""
    mistakes, lake, warehouse = [], dict[tuple[Path, str], Path](), dict[str, Path]()
    for declaration in found:
        location, name = declaration.path.parent.parent, declaration.spec.name
        tables = [table for _, layer, table in declaration.spec.assets(declaration.location) if layer == "lake"]
        quarantines = [quarantine_table(name)] if name in tables else []
        for table in dict.fromkeys([name, *tables, *quarantines]):
            if (first := lake.setdefault((location, table), declaration.path)) != declaration.path:
                place = "attributes.children" if table in tables and table != name else "attributes.name"
                mistakes.append(_clash(declaration.path, place, table, first))
        target = getattr(declaration.spec, "warehouse", None)
        if target and (first := warehouse.setdefault(target.table, declaration.path)) != declaration.path:
            mistakes.append(_clash(declaration.path, "attributes.warehouse.table", target.table, first))
    return mistakes


def _clash(path: Path, where: str, value: str, first: Path) -> Mistake:
    return mistake_in(path, where.split("."), f"{value!r} belongs to {_shown(first)} already")


def mistake_in(path: Path, location: Sequence[int | str], text: str) -> Mistake:
    """A mistake at a nested place of a file that can be read."""
    parsed = YamlFile.parse(path, shown_as=_shown(path))
    return parsed.mistake(location, text) if isinstance(parsed, YamlFile) else parsed


def _shown(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
