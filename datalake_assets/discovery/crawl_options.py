"""What a crawl may do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datalake_assets.discovery.classifiers.sample import SAMPLE_BYTES

if TYPE_CHECKING:
    from datalake_assets.discovery.classifiers.custom import CustomClassifier

DEFAULT_SAMPLE_FILES = 4
READ_THREADS = 16

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class CrawlOptions:
    """What a crawl may do.

    Attributes:
        sample_files: objects to read of each group of keys.
        sample_bytes: to read of each object, at most.
        exclude: globs; an object whose key, or key below the URI, matches one is left out.
        table_level: how many folders below the URI make a table; None lets the schemas decide.
        custom: classifiers that are asked first.
        account: whose role reads buckets, by name or id.
    """

    sample_files: int = DEFAULT_SAMPLE_FILES
    sample_bytes: int = SAMPLE_BYTES
    exclude: tuple[str, ...] = ()
    table_level: int | None = None
    custom: "tuple[CustomClassifier, ...]" = ()
    account: str | None = None
    threads: int = READ_THREADS
