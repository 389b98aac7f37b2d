"""The words of `source.s3`: one key pattern or several, read together with the pipeline's partitions."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from datalake_assets.arrivals.partitions import PartitionKind
from datalake_assets.arrivals.pattern import KeyPattern
from datalake_assets.errors import ConfigurationError


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


KeyPatterns = Annotated[
    tuple[str, ...], Field(min_length=1), BeforeValidator(_as_list, json_schema_input_type=str | list[str])
]


def parse_patterns(texts: Sequence[str], partitions: PartitionKind) -> tuple[KeyPattern, ...]:
    """Read the patterns of one source.

    Raises:
        ConfigurationError: one cannot match any key or does not fit the partitions, or two are the same.
    """
    if twice := sorted({text for text in texts if texts.count(text) > 1}):
        raise ConfigurationError(f"the key pattern {twice[0]!r} is there twice", expected="each pattern once")
    return tuple(KeyPattern.parse(text, partitions) for text in texts)
