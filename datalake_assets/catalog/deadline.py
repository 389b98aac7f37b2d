"""How long after its decision a switch can still take effect: the bound that lets vacuum remove anything at all.

Glue has no lock for a partition. A publisher that compared, was suspended for a day and then went on would point
readers to a version that vacuum has removed meanwhile. So each switch has a deadline, counted from before its
publisher last saw S3 (its audit, or its listing of manifests). The deadline is checked each time a request is signed,
also when botocore repeats it, and AWS refuses a request whose signature is older than a few minutes. Together: a
switch takes effect within `SETTLE` of what it was decided on, or never.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from datalake_assets.errors import ConcurrentChange

SWITCH_SECONDS = 600.0
# AWS refuses a signature that is older than 5 minutes, and one by a clock that is further off than that. 30 minutes
# are the 10 above, twice the 5 of signature and clock, and as much again.
SETTLE = timedelta(minutes=30)
# A version is published within minutes of its upload. One that lies about for longer without a manifest is left to
# vacuum, which removes such objects no earlier than twice this time after they were stored.
MAX_UNACCEPTED = timedelta(hours=12)

_current: ContextVar["Deadline | None"] = ContextVar("switch_deadline", default=None)


@dataclass(frozen=True, slots=True)
class Deadline:
    """Until when, by this host's clock, a request may be signed."""

    at: float

    @classmethod
    def from_now(cls) -> "Deadline":
        """For a decision on what S3 shows from now on."""
        # Not the monotonic clock: it stands still while the host is suspended.
        return cls(time.time() + SWITCH_SECONDS)

    @contextmanager
    def on(self, client: Any, where: str) -> Iterator[None]:
        """Let a client's calls inside the block sign no request after the deadline.

        Raises:
            ConcurrentChange: it is too late; what was decided on may be out of date.
        """
        client.meta.events.register("before-sign.glue", _refuse_late, unique_id="datalake-switch-deadline")
        token = _current.set(self)
        try:
            self.check(where)
            yield
        finally:
            _current.reset(token)

    def check(self, where: str) -> None:
        if time.time() > self.at:
            raise ConcurrentChange(
                f"the switch was decided on more than {SWITCH_SECONDS:.0f} s ago",
                where=where,
                todo="The version before is still visible; publish again",
            )


def _refuse_late(**_: object) -> None:
    if deadline := _current.get():
        deadline.check("a request to Glue")
