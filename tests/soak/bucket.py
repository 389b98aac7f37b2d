"""The raw bucket and everybody who changes it: files that come, change, come late, are odd, broken, or go."""

import csv
import gzip
import io
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from tests.faults.compare import Outsider
from tests.faults.expected import Content, Rows, Table, parse, together
from tests.soak.tally import Tally

MAX_FILES = 5
ROWS_OF_A_BAD_ROW = 150  # the pipelines take one bad row in a hundred
Digest = int


def digest(rows: Rows) -> Digest:
    """Equal for equal rows."""
    return hash(frozenset(rows.items()))


@dataclass
class Partition:
    """What lies in the bucket of a partition (None: a file that cannot be read), and what readers may see of it."""

    table: Table
    key: str
    files: dict[str, Content | None] = field(default_factory=dict)
    allowed: set[Digest] = field(default_factory=set)

    def expect(self) -> None:
        """From now on, readers may see the files as they are."""
        contents = list(self.files.values())
        if contents and None not in contents:
            self.allowed.add(digest(together([each for each in contents if each is not None]).good))

    @property
    def is_broken(self) -> bool:
        return None in self.files.values()


class Bucket:
    """Changes the raw bucket at random; one thread."""

    def __init__(self, tables: dict[str, Table], tally: Tally, seed: int, days: int = 6) -> None:
        self._tally = tally
        self._random = random.Random(seed)
        self._reader: Outsider | None = None
        self._number = 0
        first = date(2013, 3, 1)
        self.partitions = [
            Partition(table, str(first + timedelta(n)) if table.is_partitioned else "")
            for table in tables.values()
            for n in range(days if table.is_partitioned else 1)
        ]

    @property
    def _outsider(self) -> Outsider:
        if self._reader is None:
            self._reader = Outsider()
        return self._reader

    def run(self) -> None:
        """Change something every moment until the soak ends."""
        actions: list[tuple[int, Callable[[Partition], None]]] = [
            (28, self.land),
            (22, self.overwrite),
            (10, self.delete),
            (10, self.land_bad_rows),
            (8, self.land_odd_key),
            (6, self.land_marker),
            (4, self.land_broken),
            (6, self.mend),
            (4, self.land_unknown),
        ]
        weights = [weight for weight, _ in actions]
        for partition in self.partitions:
            self.land(partition)
        while self._tally.sleep(self._random.uniform(0.1, 2.0)):
            partition = self._random.choice(self.partitions)
            for _ in range(self._random.choice((1, 1, 1, 2, 4))):
                (action,) = self._random.choices([each for _, each in actions], weights)
                action(partition)

    # What happens to a partition

    def land(self, partition: Partition) -> None:
        if len(partition.files) < MAX_FILES:
            self._number += 1
            self._put(partition, f"file-{self._number}", self._good(partition, self._random.randint(1, 15)))
            self._tally.add("objects landed")

    def overwrite(self, partition: Partition) -> None:
        if partition.files:
            key = self._random.choice(sorted(partition.files))
            self._put_key(partition, key, self._good(partition, self._random.randint(1, 15)))
            self._tally.add("objects overwritten")

    def delete(self, partition: Partition) -> None:
        if partition.files:
            key = self._random.choice(sorted(partition.files))
            del partition.files[key]
            partition.expect()
            self._patiently(lambda o: o.s3.delete_object(Bucket=o.account.raw_bucket, Key=key))
            self._tally.add("objects deleted")

    def land_bad_rows(self, partition: Partition) -> None:
        if partition.table.is_partitioned and len(partition.files) < MAX_FILES:
            self._number += 1
            rows = self._good(partition, ROWS_OF_A_BAD_ROW)
            numbers = [n for n, c in enumerate(partition.table.columns) if c.kind in ("int", "double")]
            rows[self._random.randrange(1, len(rows))][numbers[0]] = "no number"
            self._put(partition, f"bad-row-{self._number}", rows)
            self._tally.add("files with a bad row")

    def land_odd_key(self, partition: Partition) -> None:
        if len(partition.files) < MAX_FILES:
            self._number += 1
            name = self._random.choice(
                ("flüge & wetter + 100%", "a b  c", "日本", "quote'\"s", "x" * 180, "100%25", "a=b;c,d", "~(1)!")
            )
            self._put(partition, f"{name} {self._number}", self._good(partition, 3))
            self._tally.add("odd keys")

    def land_marker(self, partition: Partition) -> None:
        name = self._random.choice(("_SUCCESS", ".hidden", "upload.csv.gz.tmp", "_temporary/0/part.csv.gz"))
        key = partition.table.prefix(partition.key) + name
        self._patiently(lambda o: o.s3.put_object(Bucket=o.account.raw_bucket, Key=key, Body=b""))
        self._tally.add("markers and temporary names")

    def land_broken(self, partition: Partition) -> None:
        """A file that fails its partition: nothing of the partition may change until it is mended."""
        if partition.is_broken or not partition.table.is_partitioned:
            return
        self._number += 1
        key = partition.table.prefix(partition.key) + f"broken-{self._number}{partition.table.suffix}"
        body = self._random.choice((b"", gzip.compress(b"a,b\n1,2\n" * 50)[:40], gzip.compress(b"who,knows\n1,2\n")))
        partition.files[key] = None
        self._patiently(lambda o: o.s3.put_object(Bucket=o.account.raw_bucket, Key=key, Body=body))
        self._tally.add("broken files")

    def mend(self, partition: Partition) -> None:
        for key in [key for key, content in partition.files.items() if content is None]:
            self._put_key(partition, key, self._good(partition, 2))
            self._tally.add("broken files mended")

    def land_unknown(self, partition: Partition) -> None:
        self._number += 1
        key = f"{partition.table.name}/dt=2013-13-45/unknown-{self._number}.csv.gz"
        self._patiently(lambda o: o.s3.put_object(Bucket=o.account.raw_bucket, Key=key, Body=b"x"))
        self._tally.add("unknown keys")

    def settle(self) -> None:
        """Leave a bucket that can be published as a whole: nothing broken, no partition without files."""
        for partition in self.partitions:
            self.mend(partition)
            if not partition.files:
                self.land(partition)

    # How

    def _good(self, partition: Partition, rows: int) -> list[list[str]]:
        """The header and rows of random values; the first column of a row names the file's number and the line."""
        table = partition.table
        found = [[column.raw for column in table.columns]]
        for line in range(rows):
            record = [self._text(column.kind, column.is_required) for column in table.columns]
            if not table.is_partitioned:
                record[0] = f"K{self._number}-{self._random.randrange(10**9)}-{line}"  # the key of the merged table
            found.append(record)
        return found

    def _text(self, kind: str, is_required: bool) -> str:
        pick = self._random
        if not is_required and pick.random() < 0.1:
            return pick.choice(("", "NA"))
        if kind in ("smallint", "int", "bigint"):
            return str(pick.randrange(1, 10_000))  # the flights are checked: no distance is negative
        if kind == "double":
            return f"{pick.uniform(-100, 100):.4f}"
        if kind == "timestamp":
            moment = datetime(2013, 1, 1) + timedelta(seconds=pick.randrange(31_000_000))
            return moment.isoformat() + "Z"
        return pick.choice(("JFK", "two\nlines", "a,b", 'say "hi"', "Łódź", " padded ", "x" * 40)) + str(self._number)

    def _put(self, partition: Partition, name: str, rows: list[list[str]]) -> None:
        self._put_key(partition, f"{partition.table.prefix(partition.key)}{name}{partition.table.suffix}", rows)

    def _put_key(self, partition: Partition, key: str, rows: list[list[str]]) -> None:
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator="\n").writerows(rows)
        body = out.getvalue().encode()
        if key.endswith(".gz"):
            body = gzip.compress(body, mtime=0)
        uri = f"s3://{self._patiently(lambda o: o.account.raw_bucket)}/{key}"
        partition.files[key] = parse(partition.table, uri, body)
        partition.expect()  # before the bucket shows it: a reader may be quicker than we
        self._patiently(lambda o: o.s3.put_object(Bucket=o.account.raw_bucket, Key=key, Body=body))

    def _patiently(self, work: Callable[[Outsider], Any]) -> Any:
        return self._tally.patiently(lambda: work(self._outsider))
