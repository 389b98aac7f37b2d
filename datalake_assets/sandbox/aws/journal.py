"""The file that AWS's state survives in: one row for each resource, written before a request is acknowledged.

A row's body is a pickle of moto's own object, so a file is only readable by the moto that wrote it; the state folder's
marker sees to that. The file is private to its owner, like the pickles in it have to be.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS resource (
    kind TEXT NOT NULL,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (kind, account, region, name)
)
"""
CHECKPOINT_PAGES = 4_000


@dataclass(frozen=True)
class ResourceId:
    """Which resource: its kind (`s3.key`), account, region or partition, and its path inside (`bucket`, `key`)."""

    kind: str
    account: str
    region: str
    name: tuple[str, ...]


class Journal:
    """The rows. Every method is called under the server's lock, from any thread."""

    def __init__(self, file: Path) -> None:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        os.close(handle)
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        # WAL without syncing: a committed row is with the operating system, which outlives any process, but a crash
        # of the whole machine may lose the last ones.
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        self._db.execute(SCHEMA)

    def write(self, changes: Iterable[tuple[ResourceId, bytes | None]]) -> None:
        """Store the new body of each resource, or forget the ones with None: all of them or none."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for resource, body in changes:
                key = (resource.kind, resource.account, resource.region, _encode(resource.name))
                if body is None:
                    self._db.execute(
                        "DELETE FROM resource WHERE kind = ? AND account = ? AND region = ? AND name = ?", key
                    )
                else:
                    self._db.execute(
                        "INSERT INTO resource VALUES (?, ?, ?, ?, ?) "
                        "ON CONFLICT (kind, account, region, name) DO UPDATE SET body = excluded.body",
                        (*key, body),
                    )
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def read(self, kind: str) -> Iterator[tuple[ResourceId, bytes]]:
        """All resources of a kind, those written first before the later ones."""
        rows = self._db.execute(
            "SELECT account, region, name, body FROM resource WHERE kind = ? ORDER BY rowid", (kind,)
        )
        for account, region, name, body in rows:
            yield ResourceId(kind, account, region, _decode(name)), body

    def close(self) -> None:
        self._db.close()


def _encode(name: tuple[str, ...]) -> str:
    # Any character may be in an S3 key but this one, which XML cannot carry.
    return "\x00".join(name)


def _decode(text: str) -> tuple[str, ...]:
    return tuple(text.split("\x00"))
