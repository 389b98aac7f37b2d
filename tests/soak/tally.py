"""What a soak has done, and what went wrong, counted by all of its threads."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

PAUSE_SECONDS = 0.3


class Stopped(Exception):
    """The soak is over: whoever waits for a service stops waiting."""


class Tally:
    """Counters, wrong things, and the end of the soak."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.ends = threading.Event()
        self._lock = threading.Lock()
        self._begin = time.monotonic()

    def add(self, what: str, number: int = 1) -> None:
        with self._lock:
            self.counts[what] += number

    def accuse(self, text: str) -> None:
        """Something that must never be."""
        with self._lock:
            self.wrong.append(text)
        self.say(f"WRONG: {text[:2000]}")

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self._begin:7.1f} s  {text}", flush=True)

    def sleep(self, seconds: float) -> bool:
        """Wait; False if the soak ended meanwhile."""
        return not self.ends.wait(seconds)

    def patiently(self, work: Callable[[], Result], *, seconds: float = 120.0) -> Result:
        """Repeat work while a service that it needs is down."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return work()
            except Exception as error:
                if not is_outage(error) or time.monotonic() > deadline:
                    raise
            if not self.sleep(PAUSE_SECONDS):
                raise Stopped


def is_outage(error: BaseException) -> bool:
    """Whether an error only says that a service is down or was stopped meanwhile."""
    import struct

    import psycopg2
    import redshift_connector
    from botocore.exceptions import BotoCoreError, ClientError

    from datalake_assets.errors import TransientError

    if isinstance(error, ClientError):
        return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)) >= 500
    kinds = (BotoCoreError, OSError, psycopg2.Error, redshift_connector.Error, struct.error, TransientError)
    return isinstance(error, kinds)
