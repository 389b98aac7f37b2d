"""What a classifier sees of an object: its first bytes, and the rest on demand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

SAMPLE_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Sample:
    """The beginning of one raw object, as it is stored (still compressed).

    `open` gives a seekable file that reads what is asked for and no more: formats that keep their schema at the end
    (Parquet, ORC, zip) need it. Errors of the source come out of it as `PlatformError`.
    """

    uri: str
    head: bytes
    size: int
    open: Callable[[], BinaryIO]

    @property
    def is_complete(self) -> bool:
        return len(self.head) >= self.size
