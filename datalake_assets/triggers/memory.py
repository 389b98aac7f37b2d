"""What a trigger sensor remembers between ticks: where it is in the event log and in time, and when to look again.

None of it is needed to decide rightly: without it, the sensor looks back a day.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from datalake_assets.triggers.watch import Candidate

_VERSION = 1


@dataclass(frozen=True)
class Memory:
    """The sensor's cursor.

    Args:
        tail: cursor of the event log's headlines, None before the first reading.
        clock: until when, in seconds of the epoch, schedules were looked at.
        known: fingerprints of the triggers that have looked back.
        wake: when to look at a partition again, in seconds of the epoch.
    """

    tail: str | None = None
    clock: float = 0.0
    known: frozenset[str] = frozenset()
    wake: Mapping[Candidate, float] = field(default_factory=dict)

    def __str__(self) -> str:
        wake: dict[str, dict[str, float]] = {}
        for (pipeline, partition), until in sorted(self.wake.items()):
            wake.setdefault(pipeline, {})[partition] = round(until, 1)
        told = {
            "version": _VERSION,
            "tail": self.tail,
            "clock": round(self.clock, 3),
            "known": "".join(sorted(self.known)),
            "wake": wake,
        }
        return json.dumps(told, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str | None) -> "Memory":
        """The memory of a cursor; of none, and of one that another version wrote or a person broke, an empty one."""
        try:
            read = json.loads(text) if text else {}
            if not isinstance(read, dict) or read.get("version") != _VERSION:
                return cls()
            known, tail = str(read["known"]), read["tail"]
            return cls(
                tail=None if tail is None else str(tail),
                clock=float(read["clock"]),
                known=frozenset(known[at : at + 8] for at in range(0, len(known), 8)),
                wake={
                    (str(pipeline), str(partition)): float(until)
                    for pipeline, each in read["wake"].items()
                    for partition, until in each.items()
                },
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            # Looking back a day is always right, and a sensor that cannot read its cursor would never tick again.
            return cls()
