"""All tables of the platform database, and what each row means.

A change here needs a migration beside it: a test compares the two. `_at` columns are UTC. Names that order things
(`changed_seq`) come from one sequence, `arrival_change_seq`.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()

# Bytes decide the order of S3 keys and of sequencers, not a language: it is also what makes them quick to compare.
ByteText = Text(collation="C")
Moment = DateTime(timezone=True)

change_seq = Sequence("arrival_change_seq", metadata=metadata)

# The newest known state of each S3 object that belongs to a source. A deleted object keeps its row, so that an old
# notification cannot bring it back.
arrival_object = Table(
    "arrival_object",
    metadata,
    Column("bucket", Text, nullable=False),
    Column("key", ByteText, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("partition", Text, nullable=False),
    Column("etag", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("version_id", Text),
    Column("event_at", Moment, nullable=False),  # S3's own time of this state
    Column("sequencer", ByteText),  # S3's order of one key's events; only in notifications
    Column("listed_at", Moment),  # set while the state comes from a listing: true since then at the latest
    Column("is_deleted", Boolean, nullable=False),
    Column("origin", Text, nullable=False),  # event | sweep | run: who told us
    Column("changed_seq", BigInteger, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    # It says that a partition is complete and is no data itself.
    Column("is_marker", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("bucket", "key"),
    Index("ix_arrival_object_partition", "source_id", "partition"),
)

# The states that `arrival_object` had before, one row for each that was replaced.
arrival_history = Table(
    "arrival_history",
    metadata,
    Column("bucket", Text, nullable=False),
    Column("key", ByteText, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("partition", Text, nullable=False),
    Column("etag", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("version_id", Text),
    Column("event_at", Moment, nullable=False),
    Column("sequencer", ByteText),
    Column("listed_at", Moment),
    Column("is_deleted", Boolean, nullable=False),
    Column("origin", Text, nullable=False),
    Column("changed_seq", BigInteger, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    Column("replaced_at", Moment, nullable=False, server_default=func.now()),
    Column("is_marker", Boolean, nullable=False, server_default=text("false")),
    PrimaryKeyConstraint("bucket", "key", "changed_seq"),
)

# One row for each partition that ever had an object. It is dirty while `changed_seq > published_seq`.
arrival_partition = Table(
    "arrival_partition",
    metadata,
    Column("source_id", Text, nullable=False),
    Column("partition", Text, nullable=False),
    Column("changed_seq", BigInteger, nullable=False),
    Column("objects", BigInteger, nullable=False),  # kept with every change, so that nobody has to count
    Column("bytes", BigInteger, nullable=False),
    Column("newest_event_at", Moment, nullable=False),
    Column("first_changed_at", Moment, nullable=False),  # of the changes since it was last clean
    Column("last_changed_at", Moment, nullable=False),
    Column("requested_seq", BigInteger),  # the change that the last request was made for
    Column("requested_at", Moment),
    Column("run_key", Text),
    Column("attempts", Integer, nullable=False, server_default=text("0")),  # requests made for `requested_seq`
    Column("published_seq", BigInteger, nullable=False, server_default=text("0")),
    Column("published_version", Text),
    Column("published_at", Moment),
    Column("markers", BigInteger, nullable=False, server_default=text("0")),  # that are there, beside `objects`
    # When it was requested, each run once; those of the last hour are kept.
    Column("recent_requests", ARRAY(Moment), nullable=False, server_default=text("'{}'")),
    PrimaryKeyConstraint("source_id", "partition"),
    Index("ix_arrival_partition_dirty", "source_id", "partition", postgresql_where=text("changed_seq > published_seq")),
    Index("ix_arrival_partition_changed", "changed_seq"),
)

# Which listings the ledger has taken over: up to the key `upto` (to the end without one), it was equal to the bucket
# at `listed_at` (S3's clock), and what is told of before is old. The last complete listing of a prefix, and one that
# goes on or broke off. It holds for keys that matched `pattern` then; a row of another pattern says nothing.
arrival_listing = Table(
    "arrival_listing",
    metadata,
    Column("bucket", Text, nullable=False),
    Column("prefix", ByteText, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("is_complete", Boolean, nullable=False),
    Column("pattern", Text, nullable=False),
    Column("listed_at", Moment, nullable=False),
    Column("upto", ByteText),
    Column("listed_seq", BigInteger, nullable=False),  # of the change sequence: what began later was listed later
    Column("recorded_at", Moment, nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("bucket", "prefix", "source_id", "is_complete"),
)

# What people should hear about a partition's arrivals, once for each `dedup_key`: late files, reruns held back.
arrival_notice = Table(
    "arrival_notice",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("dedup_key", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("partition", Text, nullable=False),
    Column("kind", Text, nullable=False),  # late | throttled
    Column("reason", Text, nullable=False),
    Column("created_at", Moment, nullable=False, server_default=func.now()),
    UniqueConstraint("dedup_key", name="uq_arrival_notice_dedup_key"),
)

# What could not become an arrival: a key of no pipeline, a message that nobody understands. Seen again, it is counted.
arrival_dead_letter = Table(
    "arrival_dead_letter",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("location", Text, nullable=False),
    Column("source_id", Text),  # the source whose prefix the key has, when there is one
    Column("kind", Text, nullable=False),  # unexpected_key | poison_message
    Column("bucket", Text),
    Column("key", ByteText),
    Column("reason", Text, nullable=False),
    Column("body", Text),  # the message, cut to a readable length
    Column("first_seen_at", Moment, nullable=False, server_default=func.now()),
    Column("last_seen_at", Moment, nullable=False, server_default=func.now()),
    Column("seen", BigInteger, nullable=False, server_default=text("1")),
    Column("resolved_at", Moment),
    UniqueConstraint("fingerprint", name="uq_arrival_dead_letter_fingerprint"),
    Index("ix_arrival_dead_letter_open", "bucket", "key", postgresql_where=text("resolved_at IS NULL")),
)

# Messages to people: written once per event (`dedup_key`), delivered until `delivered_at` is set.
alert_outbox = Table(
    "alert_outbox",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("dedup_key", Text, nullable=False),
    Column("location", Text),
    Column("kind", Text),
    Column("payload", JSONB, nullable=False),
    Column("created_at", Moment, nullable=False, server_default=func.now()),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_attempt_at", Moment, nullable=False, server_default=func.now()),
    Column("delivered_at", Moment),
    Column("last_error", Text),
    UniqueConstraint("dedup_key", name="uq_alert_outbox_dedup_key"),
    Index("ix_alert_outbox_pending", "next_attempt_at", postgresql_where=text("delivered_at IS NULL")),
)
