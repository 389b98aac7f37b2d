"""What the types of `defs.yaml` share: their words are a model, and what they make depends on it and its place."""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Generic, Self, TypeVar

import dagster as dg
from pydantic import BaseModel

SpecT = TypeVar("SpecT", bound=BaseModel)


class DeclaredComponent(dg.Component, Generic[SpecT]):
    """A component whose attributes are a model that we validate, and whose file says by its place whose it is."""

    model: ClassVar[type[BaseModel]]

    def __init__(self, spec: SpecT) -> None:
        self.spec = spec

    @classmethod
    def get_model_cls(cls) -> type[BaseModel] | None:
        return cls.model

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        assert isinstance(attributes, cls.model)
        return cls(attributes)  # type: ignore[arg-type]  # of the type that the class names

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        # locations/<account>/<pipeline>/defs.yaml
        return self.definitions(context.path.parent.name, context.path)

    @abstractmethod
    def definitions(self, location: str, folder: Path) -> dg.Definitions:
        """All that the declaration makes.

        Args:
            location: the code location whose folder it is in.
            folder: its own, where the defs.yaml and the files are that it names.
        """
