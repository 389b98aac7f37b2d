"""Independent readers in a loop: whatever they see of a partition is the bucket as it was at some time, as a whole."""

import time

from tests.faults.compare import Outsider
from tests.soak.bucket import Partition, digest
from tests.soak.tally import Tally, is_outage


class Reader:
    """One reader of the lake or of the warehouse; one thread.

    Args:
        grace: a reader that takes longer than this may find that vacuum has taken what it was reading.
    """

    def __init__(self, layer: str, partitions: list[Partition], tally: Tally, *, grace: float) -> None:
        self._layer = layer
        self._partitions = partitions
        self._tally = tally
        self._grace = grace
        self._outsider: Outsider | None = None
        self._has_been_seen: set[tuple[str, str]] = set()

    def run(self) -> None:
        """Read until the soak ends."""
        while self._tally.sleep(0.1):
            for partition in self._partitions:
                self._read(partition)
                if not self._tally.sleep(0.05):
                    return

    def _read(self, partition: Partition) -> None:
        table, key = partition.table, partition.key
        where = f"{self._layer} {table.name} {key}".rstrip()
        begin = time.monotonic()
        try:
            if self._outsider is None:
                self._outsider = Outsider()
            if self._layer == "lake":
                rows = self._outsider.lake(table, key)
            else:
                rows = self._outsider.warehouse(table, [key])[key] or None
        except AssertionError as error:
            if "gone" in str(error) and time.monotonic() - begin > self._grace:
                self._tally.add("reads slower than the grace time")
            else:
                self._tally.accuse(f"{where}: {error}")
            return
        except Exception as error:
            if not is_outage(error):
                raise
            self._tally.add(f"{self._layer} reads while a service was down")
            return
        self._tally.add(f"{self._layer} reads")
        if rows is not None:
            self._has_been_seen.add((table.name, key))
            if digest(rows) not in partition.allowed:
                self._tally.accuse(f"{where} shows what the bucket never held: {sorted(rows.items())[:3]}")
        elif (table.name, key) in self._has_been_seen and self._layer == "lake":
            self._tally.accuse(f"{where} is gone")
        elif (table.name, key) in self._has_been_seen and digest({}) not in partition.allowed:
            self._tally.accuse(f"{where} is empty")
