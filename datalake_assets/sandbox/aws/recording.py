"""Which resources a request touched: moto's methods that change something, wrapped to say what they change.

`touched` is collected for one request at a time (the server handles one at a time) and written when the request is
answered, so later changes of the same request, such as the metadata of a new object, are in.
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from datalake_assets.sandbox.aws.journal import Journal, ResourceId

Body = Callable[[], bytes | None]
Touch = tuple[ResourceId, Body]


Kind = TypeVar("Kind")


def rebuilt(kind: type[Kind], state: dict[str, Any]) -> Kind:
    """An instance with these attributes, without running its constructor."""
    instance = object.__new__(kind)
    instance.__dict__.update(state)
    return instance


class Recorder:
    """The resources that the current request has touched, each with how to read its state at the end."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._touched: dict[ResourceId, Body] = {}

    def touch(self, resource: ResourceId, body: Body) -> None:
        self._touched[resource] = body

    def flush(self) -> None:
        """Write what was touched.

        Raises:
            sqlite3.Error: the disk is full or broken. What is in memory is then ahead of the disk, so the server must
                not go on.
        """
        if not self._touched:
            return
        touched, self._touched = self._touched, {}
        self._journal.write((resource, body()) for resource, body in touched.items())

    def wrap(self, owner: type, method: str, touches: Callable[..., Iterable[Touch]]) -> None:
        """Make `owner.method` report `touches(self, *args, **kwargs)`.

        It is asked before the call, when what is about to go is still there, and after it.
        """
        original = getattr(owner, method)

        @functools.wraps(original)
        def recorded(this: Any, *args: Any, **kwargs: Any) -> Any:
            before = list(touches(this, *args, **kwargs))
            try:
                return original(this, *args, **kwargs)
            finally:
                for resource, body in (*before, *touches(this, *args, **kwargs)):
                    self.touch(resource, body)

        setattr(owner, method, recorded)
