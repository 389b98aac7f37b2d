"""Run one attempt of a step, whatever its kind."""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datalake_assets.accounts.secrets import warehouse_secret
from datalake_assets.errors import ConfigurationError, Unsupported
from datalake_assets.steps.credentials import served_credentials
from datalake_assets.steps.environment import of_step
from datalake_assets.steps.model import Attempt, Python, Shell, Spark, Sql
from datalake_assets.steps.output import Masker, StepOutput
from datalake_assets.steps.process import Command, run_command
from datalake_assets.steps.spark import require_spark
from datalake_assets.steps.statements import partition_literal, split_statements

MAX_METADATA_BYTES = 256 * 1024
_CALL = str(Path(__file__).with_name("call.py"))


def run_step(
    attempt: Attempt, *, tell: Callable[[str], None], is_orphaned: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """Run a step that is not dbt; returns the metadata that it gave.

    Args:
        tell: writes to the step's log.
        is_orphaned: tells that the run is gone.

    Raises:
        StepFailed: its program ended otherwise than well.
        ConfigurationError: a file, a function or a secret is not there.
        PlatformError: what AWS or the warehouse refused.
    """
    work = attempt.step.work
    if isinstance(work, Sql):
        from datalake_assets.steps.warehouse import run_statements

        rows = run_statements(
            warehouse_secret(attempt.location),
            _statements(attempt, work),
            what=attempt.where,
            tell=tell,
            timeout_seconds=attempt.step.timeout_seconds,
            is_orphaned=is_orphaned,
        )
        return {"rows": rows}
    with served_credentials(attempt.location) as aws:
        return run_program(attempt, _arguments(attempt), aws, tell=tell, is_orphaned=is_orphaned)


def run_program(
    attempt: Attempt,
    arguments: Sequence[str],
    variables: Mapping[str, str],
    *,
    tell: Callable[[str], None],
    hidden: Sequence[str] = (),
    is_orphaned: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Run a program as a step's attempt; returns the metadata that it wrote to the file `$DATALAKE_METADATA`.

    Args:
        variables: more of the environment; those that the step declares come before them.
        hidden: values that must not be printed, beside those of the step's secrets.
    """
    found, secrets = of_step(attempt)
    declared = attempt.step.environment
    environment = found | {name: value for name, value in variables.items() if name not in declared}
    token = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    with tempfile.TemporaryDirectory(prefix="step-") as own:
        metadata = Path(own) / "metadata.json"
        environment["DATALAKE_METADATA"] = str(metadata)
        sys.stdout.flush()
        command = Command(
            what=attempt.where,
            arguments=arguments,
            folder=attempt.folder,
            environment=environment,
            timeout_seconds=attempt.step.timeout_seconds,
        )
        run_command(command, StepOutput(tell, Masker([*secrets, *hidden, token])), is_orphaned=is_orphaned)
        return _read_metadata(metadata, attempt)


def _arguments(attempt: Attempt) -> list[str]:
    work = attempt.step.work
    if isinstance(work, Shell):
        shell = shutil.which("bash")
        if shell is None:
            raise Unsupported("there is no bash on this machine", where=attempt.where)
        # As the runners of CI do: the first command that fails ends the step, also within a pipe.
        return [shell, "-e", "-o", "pipefail", "-c", work.text, attempt.step.name]
    assert isinstance(work, Python | Spark)
    path = attempt.folder / work.file
    if not path.is_file():
        raise ConfigurationError(f"there is no file {work.file!r}", where=str(attempt.folder))
    # -P: what lies in the folder shadows no module of the platform or of Python; -u: printed is told at once.
    python = [sys.executable, "-P", "-u", _CALL, str(path)]
    named = [work.function] if work.function else []
    if isinstance(work, Python):
        return [*python, *named]
    require_spark(attempt.where)
    return [*python, *named, "--spark"]


def _statements(attempt: Attempt, work: Sql) -> list[str]:
    text = work.text
    if work.file is not None:
        try:
            text = (attempt.folder / work.file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{work.file!r} cannot be read: {error}", where=str(attempt.folder)) from error
    literal = partition_literal(attempt.partition, *attempt.window) if attempt.window else None
    statements = list(split_statements(text, partition=literal))
    if not statements:
        raise ConfigurationError("the SQL says nothing", where=attempt.where)
    return statements


def _read_metadata(path: Path, attempt: Attempt) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        content = path.read_bytes()
        found = json.loads(content) if len(content) <= MAX_METADATA_BYTES else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ConfigurationError(
            "the metadata of the step is not as expected",
            where=f"{attempt.where}, $DATALAKE_METADATA",
            expected=f"a JSON object of at most {MAX_METADATA_BYTES} bytes",
        )
    return {str(name): value for name, value in found.items()}
