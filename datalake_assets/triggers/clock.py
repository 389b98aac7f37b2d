"""The clock that triggers go by: the machine's, or one that a file tells.

A test, or the rehearsal of a day, names a file in `DATALAKE_CLOCK_FILE` that holds an instant
(`2026-11-21T03:00:00Z`) and moves it. Only triggers and what explains them ask this clock: files, runs and events keep
the real time.
"""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from datalake_assets.errors import ConfigurationError

CLOCK_VARIABLE = "DATALAKE_CLOCK_FILE"


def now() -> float:
    """Seconds of the epoch.

    Raises:
        ConfigurationError: the file that the variable names holds no instant, or is not there.
    """
    path = os.environ.get(CLOCK_VARIABLE)
    if not path:
        return time.time()
    try:
        text = Path(path).read_text().strip()
    except OSError as error:
        raise ConfigurationError(
            f"the clock's file cannot be read: {error}", where=CLOCK_VARIABLE, todo="Write an instant, or unset it"
        ) from error
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(
            f"the clock's file {path} holds {text!r}", where=CLOCK_VARIABLE, expected="2026-11-21T03:00:00Z"
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
