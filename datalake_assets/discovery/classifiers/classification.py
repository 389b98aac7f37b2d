"""What classifiers say about an object."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datalake_assets.formats.source_format import SourceFormat


@dataclass(frozen=True)
class Classification:
    """How one object is written, how certain that is, and why.

    `source` is None for UNKNOWN. `certainty` is from 0 to 1. `reason` is a sentence for people. `tried` tells what the
    other classifiers said, as triples of name, certainty and reason. `details` are certainties of the steps, for
    example {"dialect": 0.98, "header": 0.9}.
    """

    classifier: str
    certainty: float
    reason: str
    source: "SourceFormat | None" = None
    tried: tuple[tuple[str, float, str], ...] = ()
    details: dict[str, float] = field(default_factory=dict)

    @property
    def is_known(self) -> bool:
        return self.source is not None
