"""Modules of this package as one text: of each only what is used, names that are there twice told apart."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

_PACKAGE = __name__.partition(".")[0]
# What a program has in the place of the platform's own.
_STAND_INS = {f"{_PACKAGE}.errors": f"{_PACKAGE}.mapping.scripts.script_errors"}
# Methods that only the platform calls: they would bring Arrow and more along.
_LEFT_OUT = {("JsonFile", "batches")}
_RULE = "# " + "-" * 118


@dataclass(slots=True)
class _Definition:
    names: tuple[str, ...]
    text: str
    uses: frozenset[str]
    is_used: bool = False


@dataclass(slots=True)
class _Module:
    name: str
    title: str
    definitions: list[_Definition] = field(default_factory=list)
    inner: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Local name to the module of the package and the name there."""
    outer: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Local name to the module and the name in it that are imported, the empty name for the module itself."""

    @property
    def short(self) -> str:
        return self.name.rpartition(".")[2]

    def defining(self, name: str) -> _Definition | None:
        return next((each for each in self.definitions if name in each.names), None)


def bundle(modules: Sequence[str], roots: Sequence[tuple[str, str]]) -> tuple[list[str], set[tuple[str, str]]]:
    """The texts of modules, in their order, and what they import from elsewhere (module, name).

    Args:
        modules: names of all modules that may be needed, each behind those it needs when it is read.
        roots: pairs of a module and a name in it that the program names itself.
    """
    read = {name: _read(name) for name in modules}
    imports: set[tuple[str, str]] = set()
    waiting = list(roots)
    while waiting:
        module_name, name = waiting.pop()
        module = read[module_name]
        definition = module.defining(name)
        if definition is None or definition.is_used:
            continue
        definition.is_used = True
        for used in definition.uses:
            if used in module.inner:
                waiting.append(module.inner[used])
            elif used in module.outer:
                imports.add(module.outer[used])
            else:
                waiting.append((module_name, used))
    renamed = _renamed(read)
    texts = []
    for module in read.values():
        kept = [each for each in module.definitions if each.is_used]
        if not kept:
            continue
        changes = {local: renamed[there] for local, there in module.inner.items() if there in renamed}
        changes |= {local: there[1] for local, there in module.inner.items() if there not in renamed}
        changes |= {name: new for (where, name), new in renamed.items() if where == module.name}
        code = "".join(_with_names(each.text, changes) for each in kept).strip("\n")
        texts.append(f"{_RULE}\n# {module.title}\n{_RULE}\n\n{code}\n")
    return texts, imports


def _read(name: str) -> _Module:
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    text = Path(spec.origin).read_text(encoding="utf-8")
    tree = ast.parse(text)
    lines = text.splitlines()
    module = _Module(name, (ast.get_docstring(tree) or "").partition("\n")[0])
    end = 0
    for node in tree.body:
        assert node.end_lineno is not None
        is_docstring = node is tree.body[0] and isinstance(node, ast.Expr)
        # Names for type checkers only stand in quotes.
        is_guarded = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if isinstance(node, ast.Import | ast.ImportFrom):
            _note_import(node, module)
        elif not is_docstring and not is_guarded:
            module.definitions.append(_definition(node, lines[end : node.end_lineno]))
        end = node.end_lineno
    return module


def _note_import(node: ast.Import | ast.ImportFrom, module: _Module) -> None:
    for alias in node.names:
        local = alias.asname or alias.name
        if isinstance(node, ast.Import):
            module.outer[local] = (alias.name, "")
        elif (node.module or "").startswith(_PACKAGE):
            module.inner[local] = (_STAND_INS.get(node.module or "", node.module or ""), alias.name)
        else:
            module.outer[local] = (node.module or "", alias.name)


def _definition(node: ast.stmt, lines: list[str]) -> _Definition:
    if isinstance(node, ast.ClassDef):
        for method in node.body:
            if isinstance(method, ast.FunctionDef) and (node.name, method.name) in _LEFT_OUT:
                assert method.end_lineno is not None
                assert node.end_lineno is not None
                back = node.end_lineno - method.lineno + 1
                del lines[-back : len(lines) - (node.end_lineno - method.end_lineno)]
                node.body.remove(method)
                break
    text = "\n".join(lines) + "\n"
    # What is there for this package's own tools says nothing to others.
    text = re.sub(r"  # (?:type: ignore\[|noqa).*", "", text)
    uses = {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)}
    return _Definition(tuple(_names(node)), text, frozenset(uses))


def _names(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            yield from (each.id for each in ast.walk(target) if isinstance(each, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id


def _renamed(modules: dict[str, _Module]) -> dict[tuple[str, str], str]:
    """New names for those that two modules use, but for the last one."""
    found: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for module in reversed(modules.values()):
        for name in [name for each in module.definitions if each.is_used for name in each.names]:
            if name in taken:
                word = f"{module.short}_{name.lstrip('_')}"
                found[module.name, name] = f"_{word.upper() if name.isupper() else word}"
            taken.add(name)
    return found


def _with_names(text: str, changes: dict[str, str]) -> str:
    changes = {old: new for old, new in changes.items() if old != new}
    if not changes:
        return text
    pattern = "|".join(sorted(map(re.escape, changes), key=len, reverse=True))
    return re.sub(rf"(?<![\w.])(?:{pattern})(?!\w)", lambda match: changes[match[0]], text)
