"""The words of `publish`: what becomes of published versions."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Publish(BaseModel):
    """How a table's versions are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep_versions: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        default=7, description="How many versions of a partition vacuum keeps, the published one included."
    )
