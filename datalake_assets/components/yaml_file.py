"""YAML files with a line for every value, so that a mistake is reported where it was typed.

The same loader serves every declaration of the platform: it keeps PyYAML's node tree beside the plain data, refuses
keys that were written twice, and turns a pydantic complaint into `file:line:column path: what, expected, nearest`.
"""

import difflib
import types
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml reads 700 files in a second, plain Python in ten


@dataclass(frozen=True)
class Mistake:
    """One mistake in one file; lines and columns count from 1."""

    path: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.text}"


@dataclass(frozen=True)
class YamlFile:
    """One parsed YAML document and where each of its values stands."""

    path: str
    node: yaml.Node | None
    data: Any

    @classmethod
    def parse(cls, path: Path, *, shown_as: str) -> "YamlFile | Mistake":
        """Read one document; a syntax error or a repeated key comes back as the mistake it is."""
        try:
            content = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            return Mistake(shown_as, 1, 1, f"the file is not UTF-8 text ({error.reason} at byte {error.start})")
        loader = Loader(content)
        try:
            node = loader.get_single_node()
            if node is not None and (repeated := _repeated_key(node)):
                mark = repeated.start_mark
                return Mistake(
                    shown_as, mark.line + 1, mark.column + 1, f"the key {repeated.value!r} stands here twice"
                )
            data = loader.construct_document(node) if node is not None else None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or str(error)
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            return Mistake(shown_as, line, column, f"this is not YAML: {problem}")
        finally:
            loader.dispose()
        return cls(shown_as, node, data)

    def mistake(self, location: Sequence[int | str], text: str, *, at_key: bool = False) -> Mistake:
        """A mistake at the value (or the key) of a nested location, or at the nearest parent that exists."""
        mark = self._mark(location, at_key=at_key)
        where = ".".join(str(part) if isinstance(part, str) else f"[{part}]" for part in location).replace(".[", "[")
        return Mistake(self.path, mark[0], mark[1], f"{where}: {text}" if where else text)

    def validate(self, model: type[Model], location: Sequence[int | str] = ()) -> "Model | list[Mistake]":
        """Validate the value at `location` against a pydantic model; all its mistakes at once."""
        value = self.data
        for part in location:
            value = value[part]
        try:
            return model.model_validate(value)
        except ValidationError as error:
            return [self._explain(problem, model, tuple(location)) for problem in error.errors()]

    def _explain(self, problem: Any, model: type[BaseModel], base: tuple[int | str, ...]) -> Mistake:
        # Branches of a union and validators add parts that are not in the file: keep those that are.
        location = self._existing(base, problem["loc"])
        kind, found = problem["type"], problem["input"]
        if kind == "extra_forbidden":
            allowed = allowed_keys(model, location[len(base) : -1])
            return self.mistake(location, f"unknown key{allowed_values(str(location[-1]), allowed)}", at_key=True)
        if kind == "missing":
            place = self._existing(base, problem["loc"][:-1])
            return self.mistake((*place, problem["loc"][-1]), "this key is required and missing")
        message = _in_words(problem) or problem["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        if kind in _MAPPINGS and (allowed := allowed_keys(model, location[len(base) :])):
            message += f"; allowed: {', '.join(allowed)}"
        expected = problem.get("ctx", {}).get("expected")
        if kind == "literal_error" and expected:
            choices = [choice.strip(" '") for choice in expected.replace(" or ", ", ").split(",")]
            return self.mistake(location, f"found {found!r}{allowed_values(str(found), choices)}")
        shown = ", found nothing" if found is None else f", found {found!r}"
        if isinstance(found, dict | list) or repr(found) in message:
            shown = ""
        return self.mistake(location, f"{message}{shown}")

    def _existing(self, base: tuple[int | str, ...], location: Sequence[int | str]) -> tuple[int | str, ...]:
        kept, value = list(base), self.data
        for part in base:
            value = value[part]
        for part in location:
            is_key = isinstance(value, dict) and part in value
            if is_key or (isinstance(value, list) and isinstance(part, int) and part < len(value)):
                value = value[part]
            else:
                continue
            kept.append(part)
        return tuple(kept)

    def _mark(self, location: Sequence[int | str], *, at_key: bool) -> tuple[int, int]:
        node, mark = self.node, self.node.start_mark if self.node else None
        for part in location:
            child = None
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if key.value == str(part):
                        child, mark = value, key.start_mark if at_key else value.start_mark
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                child = node.value[part]
                mark = child.start_mark
            if child is None:
                break
            node = child
        return (mark.line + 1, mark.column + 1) if mark else (1, 1)

    @cached_property
    def is_empty(self) -> bool:
        return self.data is None


_MAPPINGS = ("dict_type", "model_type", "model_attributes_type")
_WORDS = {
    **dict.fromkeys(_MAPPINGS, "expected a mapping of keys to values"),
    **dict.fromkeys(("list_type", "tuple_type"), "expected a list"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "expected a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "expected a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "expected true or false"),
    "string_type": "expected a text",
    "too_short": "expected at least {min_length} of them, found {actual_length}",
    "greater_than_equal": "expected at least {ge}",
    "less_than_equal": "expected at most {le}",
}


def _in_words(problem: Any) -> str:
    """What pydantic calls by the names of Python's types, as somebody says it who writes YAML."""
    return _WORDS.get(problem["type"], "").format(**problem.get("ctx", {}))


def allowed_keys(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """The keys that may stand at a nested location of a model, as they are spelled in YAML."""
    current: Any = model
    for part in location:
        candidates = _models_of(current)
        if isinstance(part, int):
            continue
        current = next(
            (
                field.annotation
                for candidate in candidates
                for name, field in candidate.model_fields.items()
                if part in (name, field.alias)
            ),
            None,
        )
    return sorted({field.alias or name for found in _models_of(current) for name, field in found.model_fields.items()})


def _models_of(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Annotated, Union, types.UnionType, list, tuple, dict):
        return [found for argument in get_args(annotation) for found in _models_of(argument)]
    return []


def allowed_values(found: str, allowed: Sequence[str]) -> str:
    """`; allowed: a, b; did you mean 'a'?`, to be put behind what was found."""
    nearest = difflib.get_close_matches(found, allowed, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"; allowed: {', '.join(allowed)}{hint}" if allowed else hint


def _repeated_key(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                return key
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
            if found := _repeated_key(value):
                return found
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            if found := _repeated_key(value):
                return found
    return None
