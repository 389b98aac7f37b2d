"""The words of one step of a StepsPipeline: what it does, after what, how often and how long."""

import ast
import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from datalake_assets.components.words.base import Identifier, Words
from datalake_assets.components.words.durations import Seconds
from datalake_assets.components.words.mistakes import Located, refuse
from datalake_assets.steps.model import Dbt, Python, SecretValue, Shell, Spark, Sql, Step, Work

KINDS = ("shell", "python", "sql", "dbt", "spark")
MAX_TEXT_BYTES = 120_000  # Linux takes 128 kB in one argument of a program
_STEP_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PYTHON_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def _step_name(text: str) -> str:
    # Names of steps and pipelines become one name of an op, with two underscores between them.
    if not _STEP_NAME.fullmatch(text):
        raise ValueError("a step is named by lower-case letters and digits with single underscores between")
    return text


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("the text is empty")
    if "\0" in value:
        raise ValueError("the text holds a NUL, which no program takes")
    if len(value.encode()) > MAX_TEXT_BYTES:
        raise ValueError(f"longer than {MAX_TEXT_BYTES} bytes; put it into a file beside the declaration")
    return value


def _file(text: str) -> str:
    path = Path(text)
    if path.is_absolute() or ".." in path.parts or not text.strip() or "\0" in text:
        raise ValueError(f"{text!r} is no file beside the declaration, such as count.py")
    return text


def _function(text: str) -> str:
    file, colon, function = text.rpartition(":")
    if not colon or not file.endswith(".py") or not _PYTHON_NAME.fullmatch(function):
        raise ValueError("expected a file and a function in it, as in count.py:count_rows")
    _file(file)
    return text


def _function_or_program(text: str) -> str:
    return _file(text) if text.endswith(".py") else _function(text)


def _selection(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _selector(text: str) -> str:
    if not text.strip() or text.startswith("-") or "\0" in text:
        raise ValueError("not a selector of dbt; expected the name of a model, `+name`, `tag:daily` …")
    return text


def _needs(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class SecretWords(Words):
    """A value in the account's Secrets Manager."""

    secret: Annotated[str, Field(min_length=1, max_length=512)] = Field(description="Name of the secret.")
    key: str | None = Field(default=None, description="Of the secret's JSON object; without it the whole text.")

    def value(self) -> SecretValue:
        """The same for the step."""
        return SecretValue(self.secret, self.key)


def _variable_value(value: Any) -> Any:
    if isinstance(value, bool | float) or value is None:
        raise ValueError("expected a text; put it in quotes, so that it stays as it is written")
    return str(value) if isinstance(value, int) else value


def _variable_name(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError("not the name of a variable; expected letters, digits and _")
    if name.startswith("DATALAKE_"):
        raise ValueError("names with DATALAKE_ belong to the platform, which sets them")
    return name


VariableName = Annotated[str, AfterValidator(_variable_name)]
VariableValue = Annotated[str | SecretWords, BeforeValidator(_variable_value)]


class StepWords(Words):
    """One step: its name and exactly one of shell, python, sql, dbt and spark."""

    name: Annotated[Identifier, AfterValidator(_step_name)] = Field(description="Unique in the pipeline.")
    description: str | None = None
    shell: Annotated[str, AfterValidator(_text)] | None = Field(
        default=None, description="Text for bash; the first command that fails ends the step."
    )
    python: Annotated[str, AfterValidator(_function)] | None = Field(
        default=None, description="A function of a file beside this one: count.py:count_rows"
    )
    sql: Annotated[str, AfterValidator(_text)] | None = Field(
        default=None,
        description="Statements for the account's warehouse, or a file of them (load.sql); `$partition` is a DATE.",
    )
    dbt: (
        Annotated[
            tuple[Annotated[str, AfterValidator(_selector)], ...],
            BeforeValidator(_selection, json_schema_input_type=str | list[str]),
            Field(min_length=1),
        ]
        | None
    ) = Field(default=None, description="Models to build with their tests, as `dbt build --select` takes them.")
    spark: Annotated[str, AfterValidator(_function_or_program)] | None = Field(
        default=None, description="A function that takes `spark` (clean.py:clean), or a PySpark program (clean.py)."
    )
    needs: Annotated[tuple[Identifier, ...], BeforeValidator(_needs, json_schema_input_type=str | list[str])] | None = (
        Field(
            default=None,
            description="The steps that must have succeeded before; without it the one above, [] for none.",
        )
    )
    retries: Annotated[int, Field(strict=True, ge=0, le=20)] = Field(
        default=0, description="So often the step is tried again when it failed."
    )
    retry_after: Seconds = Field(default=10.0, description="Before the first retry; doubled for each further one.")
    timeout: Seconds | None = Field(default=None, description="An attempt that takes longer is ended and has failed.")
    env: dict[VariableName, VariableValue] = Field(
        default={}, description="Variables of the step's program: texts, or {secret: NAME, key: KEY}."
    )

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        refuse("step", self._misfits())
        return self

    def _misfits(self) -> Iterator[Located]:
        written = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(written) != 1:
            found = " and ".join(written) or "none of them"
            yield (), f"a step does exactly one of {', '.join(KINDS)}; found {found}"
        if self.sql is not None and self.env:
            yield ("env",), "statements see no environment; `$partition` is the partition"
        if self.timeout is not None and self.timeout < 1:
            yield ("timeout",), "expected at least 1s"

    @property
    def kind(self) -> str:
        """The word that says what it does."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    def missing(self, folder: Path) -> Iterator[Located]:
        """What the step names and the folder of the declaration does not have."""
        work = self.work()
        file = getattr(work, "file", None)
        if file is None:
            return
        path = folder / file
        if not path.is_file():
            near = difflib.get_close_matches(file, [each.name for each in folder.iterdir() if each.is_file()], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            yield (self.kind,), f"there is no file {file!r} beside the defs.yaml{hint}"
        elif isinstance(work, Python | Spark):
            yield from ((((self.kind,), text)) for text in _misfits_of_function(path, work))

    def step(self, needs: tuple[str, ...]) -> Step:
        """The step itself, after those that it needs."""
        return Step(
            name=self.name,
            work=self.work(),
            needs=needs,
            description=self.description or "",
            retries=self.retries,
            retry_after_seconds=self.retry_after,
            timeout_seconds=self.timeout,
            environment={
                name: value.value() if isinstance(value, SecretWords) else value for name, value in self.env.items()
            },
        )

    def work(self) -> Work:
        """What the step does."""
        if self.shell is not None:
            return Shell(self.shell)
        if self.python is not None:
            file, _, function = self.python.rpartition(":")
            return Python(file, function)
        if self.sql is not None:
            is_file = self.sql.strip().endswith(".sql") and len(self.sql.split()) == 1
            return Sql(file=_file(self.sql.strip())) if is_file else Sql(self.sql)
        if self.dbt is not None:
            return Dbt(self.dbt)
        assert self.spark is not None
        if self.spark.endswith(".py"):
            return Spark(self.spark)
        file, _, function = self.spark.rpartition(":")
        return Spark(file, function)


def _misfits_of_function(path: Path, work: Python | Spark) -> Iterator[str]:
    """Read a file without running it: does it parse, does it have the function, can the function be called."""
    from datalake_assets.steps.call import PARAMETERS, SPARK_PARAMETERS

    try:
        tree = ast.parse(path.read_bytes(), filename=path.name)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        yield f"{path.name}{f', line {line}' if line else ''}: this is not Python: {getattr(error, 'msg', error)}"
        return
    if work.function is None:
        return
    functions = {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
    if (found := functions.get(work.function)) is None:
        if work.function in _assigned(tree):
            return  # imported, or made by a call: it will be seen when it runs
        near = difflib.get_close_matches(work.function, functions, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(functions) or 'none'}"
        yield f"{path.name} has no function {work.function!r}{hint}"
        return
    if isinstance(found, ast.AsyncFunctionDef):
        yield f"{work.function} is a coroutine, which nobody awaits; make it a plain function"
    if found.decorator_list:
        return  # a decorator may give what is missing
    allowed = SPARK_PARAMETERS if isinstance(work, Spark) else PARAMETERS
    for name in _required(found.args):
        if name not in allowed:
            yield f"{work.function} wants {name!r}, which nobody gives it; a step gets {', '.join(allowed)}"


def _required(arguments: ast.arguments) -> list[str]:
    plain = [*arguments.posonlyargs, *arguments.args]
    plain = plain[: len(plain) - len(arguments.defaults)]
    named = [each for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is None]
    return [each.arg for each in (*plain, *named)]


def _assigned(tree: ast.Module) -> set[str]:
    """Names that a module gets otherwise than by `def`: imports, assignments, and whatever an `if` or `try` holds."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            names = {each.asname or each.name.split(".")[0] for each in node.names}
            if "*" in names:
                return _Everything()
            found |= names
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    for node in tree.body:
        if isinstance(node, ast.If | ast.Try | ast.With):
            found |= {each.name for each in ast.walk(node) if isinstance(each, ast.FunctionDef)}
    return found


class _Everything(set[str]):
    """A module that imports everything of another one may have any name."""

    def __contains__(self, _: object) -> bool:
        return True
