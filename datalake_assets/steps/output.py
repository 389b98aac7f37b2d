"""What a step prints: all of it to the step's own output, its beginning and end to the event log, secrets nowhere.

The event log is a database that everybody reads: a step that prints a gigabyte must not fill it, and bytes that are no
text must not break it.
"""

import logging
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterable

log = logging.getLogger(__name__)

# Of one attempt of a step. The event log is PostgreSQL, the step's own output a file of Dagster's compute logs.
EVENT_LOG_CHARACTERS = 100_000
KEPT_BYTES = 64 * 1024 * 1024
LAST_LINES = 20
LINE_CHARACTERS = 2_000
UNFINISHED_LINE_BYTES = 64 * 1024
BATCH_CHARACTERS, BATCH_SECONDS = 10_000, 1.0
MASK = "•••"
# A shorter value is found in ordinary words; hiding those tells more than it hides.
MIN_SECRET_CHARACTERS = 4

_LINE_END = re.compile(r"\r\n|\n|\r")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Masker:
    """Hides the values of secrets in texts."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # A value of several lines is printed line by line; the longest first, for one may be part of another.
        parts = {line.strip() for secret in secrets for line in (secret, *secret.splitlines())}
        known = sorted((part for part in parts if len(part) >= MIN_SECRET_CHARACTERS), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, known))) if known else None
        self.longest_bytes = max((len(part.encode()) for part in known), default=0)

    def hide(self, text: str) -> str:
        """The text with each known value replaced."""
        return self._pattern.sub(MASK, text) if self._pattern else text


class StepOutput:
    """Takes the bytes that a step prints and passes them on, within bounds.

    Args:
        tell: writes one event to the event log.
        masker: what must not be shown.
        descriptor: file that everything is copied to; standard output, which Dagster keeps for each step.
    """

    def __init__(
        self, tell: Callable[[str], None], masker: Masker | None = None, *, descriptor: int | None = 1
    ) -> None:
        self._tell = tell
        self._masker = masker or Masker()
        self._descriptor = descriptor
        self._rest = b""
        self._batch: list[str] = []
        self._batch_characters = 0
        self._batch_since = 0.0
        self._told_characters = 0
        self._copied_bytes = 0
        self._untold_lines = 0
        self._last: deque[str] = deque(maxlen=LAST_LINES)

    @property
    def last_lines(self) -> list[str]:
        """The end of what was printed, for the message of a failure."""
        return list(self._last)

    def write(self, data: bytes) -> None:
        """Take what was printed next; lines may be cut anywhere."""
        data = self._rest + data
        whole = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if len(data) - whole > UNFINISHED_LINE_BYTES:
            # Bytes without line ends must not gather in memory; a secret may just be on its way.
            whole = len(data) - self._masker.longest_bytes
        self._take(data[:whole])
        self._rest = data[whole:]

    def tick(self) -> None:
        """Pass on what has waited for long enough to be told."""
        if self._batch and time.monotonic() - self._batch_since >= BATCH_SECONDS:
            self._tell_batch()

    def close(self) -> None:
        """Pass on all that is left, and the end of what was too much."""
        self._take(self._rest)
        self._rest = b""
        self._tell_batch()
        if self._untold_lines:
            end = "\n".join(self._last)
            self._tell(f"… {self._untold_lines} more lines stand in the step's output; the last of all:\n{end}")
            self._untold_lines = 0

    def _take(self, data: bytes) -> None:
        if not data:
            return
        text = self._masker.hide(data.decode("utf-8", errors="replace"))
        self._copy(text.encode())
        told = 0
        if self._told_characters < EVENT_LOG_CHARACTERS:
            # No more of it than can still be told: whatever comes in one piece, the rest is only counted.
            for line in _LINE_END.split(text[: EVENT_LOG_CHARACTERS + LINE_CHARACTERS].rstrip("\r\n")):
                if self._told_characters >= EVENT_LOG_CHARACTERS:
                    break
                told += 1
                self._add(_shown(line))
        self._untold_lines += max(0, text.count("\n") - told)
        end = "\n".join(text[-LAST_LINES * LINE_CHARACTERS :].rsplit("\n", LAST_LINES + 1)[-LAST_LINES - 1 :])
        for line in _LINE_END.split(end)[-LAST_LINES - 1 :]:
            if line.strip():
                self._last.append(_shown(line))

    def _add(self, line: str) -> None:
        if not self._batch:
            self._batch_since = time.monotonic()
        self._batch.append(line)
        self._batch_characters += len(line) + 1
        self._told_characters += len(line) + 1
        if self._batch_characters >= BATCH_CHARACTERS:
            self._tell_batch()

    def _tell_batch(self) -> None:
        text = "\n".join(self._batch).strip("\n")
        self._batch, self._batch_characters = [], 0
        if text:
            self._tell(text)

    def _copy(self, data: bytes) -> None:
        if self._descriptor is None or self._copied_bytes >= KEPT_BYTES:
            return
        room = KEPT_BYTES - self._copied_bytes
        if len(data) > room:
            data = data[:room] + b"\n... the step has printed more than is kept\n"
        self._copied_bytes += len(data)
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            # A full disk or a closed pipe of the log is no reason to end the work.
            log.warning("the step's output is not kept any more: %s", error)
            self._descriptor = None


def _shown(line: str) -> str:
    more = len(line) - LINE_CHARACTERS
    line = _CONTROLS.sub("�", _ESCAPES.sub("", line[:LINE_CHARACTERS]))
    return f"{line} … and {more} more characters" if more > 0 else line
