"""Every failure of the platform, permanent or transient by its type.

A permanent failure comes back with the same input: a person mends the cause. A transient one is worth another try.

    PlatformError
    ├── PermanentError
    │   ├── ConfigurationError        a setting, the account registry or a YAML file is wrong
    │   │   └── InvalidName           a text that cannot be a name of a table, column, bucket …
    │   ├── BadInput                  raw data that cannot become its partition
    │   │   ├── UnexpectedKey         an object whose key belongs to no pipeline
    │   │   ├── UnreadableObject      broken compression, wrong encoding, not the declared format
    │   │   ├── EmptyObject           an object of zero bytes
    │   │   ├── WrongHeader           a file without the columns that the mapping needs
    │   │   ├── SchemaChanged         raw columns that a frozen contract does not know
    │   │   ├── NoObjects             a partition without a single object
    │   │   └── TooManyBadRows        quarantine above `bad_rows.fail_above`
    │   ├── AuditFailed               a blocking check failed; the old version stays published
    │   ├── ManifestMismatch          an object of a version is missing or has another checksum
    │   ├── RowCountMismatch          the warehouse counted other rows than the lake published
    │   ├── StatementFailed           the warehouse refused a statement for what it says; the message has its SQLSTATE
    │   ├── StepFailed                a program of a pipeline's step ended otherwise than well; only the step knows why
    │   ├── InvalidQuery              SQL over the lake that is wrong, names what is missing, or would change something
    │   ├── AccessDenied              a credential, role or grant is missing or wrong
    │   ├── OutOfSpace                memory or disk of the machine that runs is not enough
    │   └── Unsupported               something the sandbox or the platform does not do
    └── TransientError
        ├── Unavailable               a service does not answer: stopped, restarting, unreachable
        ├── Throttled                 a service asks for fewer calls
        └── ConcurrentChange          somebody else changed the same thing at the same time
"""


class PlatformError(Exception):
    """A failure that says what was found, where, what was expected and what to do.

    Args:
        found: what is wrong, as one sentence without a full stop.
        where: the file and line, object URI, table and partition, or command it was found in.
        expected: what would have been right.
        todo: the next step for the person who reads it.
    """

    def __init__(
        self, found: str, *, where: str | None = None, expected: str | None = None, todo: str | None = None
    ) -> None:
        self.found = found
        self.where = where
        self.expected = expected
        self.todo = todo
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.found}" if self.where else self.found
        if self.expected:
            text += f"; expected {self.expected}"
        if self.todo:
            text += f". {self.todo}"
        return text

    def __reduce__(self) -> tuple[object, ...]:
        # Dagster and worker pools carry exceptions across processes: keyword-only arguments need help with that.
        return _rebuild, (type(self), self.found, self.where, self.expected, self.todo)


def _rebuild(
    kind: type[PlatformError], found: str, where: str | None, expected: str | None, todo: str | None
) -> PlatformError:
    return kind(found, where=where, expected=expected, todo=todo)


class PermanentError(PlatformError):
    """The same input fails again until a person mends the cause."""


class ConfigurationError(PermanentError):
    """A setting, the account registry or a YAML file is wrong."""


class InvalidName(ConfigurationError):
    """A text that cannot be the name of what it should name."""


class BadInput(PermanentError):
    """Raw data that cannot become its partition."""


class UnexpectedKey(BadInput):
    """An object whose key belongs to no pipeline of its bucket."""


class UnreadableObject(BadInput):
    """An object with broken compression, a wrong encoding or another format than declared."""


class EmptyObject(BadInput):
    """An object of zero bytes."""


class WrongHeader(BadInput):
    """A file without the columns that the mapping needs."""


class SchemaChanged(BadInput):
    """The raw files have columns that a frozen contract does not know."""


class NoObjects(BadInput):
    """A partition without a single raw object."""


class TooManyBadRows(BadInput):
    """More rows in quarantine than `bad_rows.fail_above` allows."""


class AuditFailed(PermanentError):
    """A blocking check failed; readers still see the old version."""


class ManifestMismatch(PermanentError):
    """An object of a version is missing or has another size or checksum than its manifest says."""


class RowCountMismatch(PermanentError):
    """The warehouse counted other rows than the lake published."""


class StatementFailed(PermanentError):
    """The warehouse refused a statement for what it says; the message names the SQLSTATE."""


class StepFailed(PermanentError):
    """A step's program ended with another status than 0, by a signal or by its timeout; its last lines are told.

    Whether another try may help, only who wrote the step knows: `retries` of the step says so.
    """


class InvalidQuery(PermanentError):
    """SQL over the lake that is wrong, names a table or column that is not there, or would change something."""


class AccessDenied(PermanentError):
    """A credential, role or grant is missing or wrong."""


class OutOfSpace(PermanentError):
    """Memory or disk of the machine that runs is not enough for the work."""


class Unsupported(PermanentError):
    """Something the platform or its sandbox does not do, named so that nobody searches for it."""


class TransientError(PlatformError):
    """Worth another try without anybody mending anything."""


class Unavailable(TransientError):
    """A service does not answer: stopped, restarting or unreachable."""


class Throttled(TransientError):
    """A service asks for fewer calls."""


class ConcurrentChange(TransientError):
    """Somebody else changed the same thing at the same time."""
