"""Call the function of a step: the program that runs a Python or Spark step, in a process of its own.

`python -P call.py FILE [FUNCTION] [--spark]`. It ends with status 0 when the function returns, and otherwise as Python
does: with the traceback of the step's own code.
"""

import importlib.util
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

PARAMETERS = ("context", "partition")
SPARK_PARAMETERS = (*PARAMETERS, "spark")
MISTAKEN = 1


def main(arguments: list[str]) -> int:
    """Load the file, call the function with what its parameters ask for, and write down what it returns."""
    with_spark = "--spark" in arguments
    path, *named = [Path(each) for each in arguments if each != "--spark"]
    sys.path.append(str(Path(__file__).parents[2]))  # where this package is, if it is not installed
    sys.path.insert(0, str(path.parent))  # modules beside it are imported as if it were started by itself
    function_name = str(named[0]) if named else None
    if function_name is None:
        _spark_remote()
        return _run_program(path)
    try:
        function = _find(_load(path), function_name, path)
    except _Mistake as mistake:
        print(mistake, file=sys.stderr)
        return MISTAKEN
    if not with_spark:
        return _call(function, path, {})
    remote = _spark_remote()
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.remote(remote).getOrCreate()
    try:
        return _call(function, path, {"spark": spark})
    finally:
        spark.stop()


class _Mistake(Exception):
    """Something to tell without a traceback."""


def _run_program(path: Path) -> int:
    import runpy

    sys.argv = [str(path)]
    with _own_traceback(path):
        runpy.run_path(str(path), run_name="__main__")
        return 0
    return MISTAKEN


def _load(path: Path) -> ModuleType:
    # The name under which others import it, unless that would shadow one that is in use.
    name = path.stem if path.stem not in sys.modules and path.stem not in sys.stdlib_module_names else "_step"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise _Mistake(f"{path}: this is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with _own_traceback(path):
        spec.loader.exec_module(module)
        return module
    raise _Mistake(f"{path.name} cannot be imported")


def _find(module: ModuleType, name: str, path: Path) -> Callable[..., Any]:
    function = getattr(module, name, None)
    if callable(function):
        return function  # type: ignore[no-any-return]  # what it returns is looked at later
    raise _Mistake(f"{path}: there is no function {name!r}")


def _call(function: Callable[..., Any], path: Path, values: Mapping[str, Any]) -> int:
    from datalake_assets.steps.context import StepContext

    context = StepContext.of_environment()
    known = {"context": context, "partition": context.partition, **values}
    wanted = inspect.signature(function).parameters.values()
    unknown = [each.name for each in wanted if each.name not in known and _must_be_given(each)]
    if unknown:
        print(f"{path}: nothing to give for {', '.join(unknown)}; a step gets {', '.join(known)}", file=sys.stderr)
        return MISTAKEN
    given = {each.name: known[each.name] for each in wanted if each.name in known}
    with _own_traceback(path):
        _keep(function(**given))
        return 0
    return MISTAKEN


def _must_be_given(parameter: inspect.Parameter) -> bool:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        return False
    return parameter.default is parameter.empty


def _keep(returned: Any) -> None:
    """A mapping that the function returns is metadata of the step."""
    if isinstance(returned, Mapping):
        text = json.dumps(dict(returned), default=str)
        Path(os.environ["DATALAKE_METADATA"]).write_text(text, encoding="utf-8")


@contextmanager
def _own_traceback(path: Path) -> Iterator[None]:
    """Print the traceback of what is raised from the step's own file on; how it was called is nobody's concern."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever the step's code raises is the end of the step
        frame = error.__traceback__
        while frame is not None and frame.tb_frame.f_code.co_filename != str(path):
            frame = frame.tb_next
        sys.stdout.flush()
        traceback.print_exception(error.with_traceback(frame) if frame else error)


def _spark_remote() -> str:
    """The address of a Spark session: what SPARK_REMOTE names, otherwise an embedded Sail, which ends with us."""
    if "SPARK_REMOTE" not in os.environ:
        from datalake_assets.steps.spark import start_embedded_spark

        os.environ["SPARK_REMOTE"] = start_embedded_spark()  # where a program's own session finds it
    return os.environ["SPARK_REMOTE"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
