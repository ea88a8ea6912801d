"""The ledger in the database: claimed with a partition, locked and moved with each chunk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db import connections, transaction

from consumers.core.chunks import Span
from consumers.core.ledger import Position
from consumers.core.outcomes import Tally
from consumers.core.records import TopicPartition
from consumers.core.source import Offsets
from consumers.models import PartitionLedger

_TABLE = PartitionLedger._meta.db_table

_CLAIM = f"""
    INSERT INTO {_TABLE} AS ledger ("group", consumer, topic, partition, epoch, next_offset, start_offset, counted_to,
                                    received, written, duplicates, skipped, failed, missing, rows, updated_at)
    VALUES (%(group)s, %(consumer)s, %(topic)s, %(partition)s, 1, %(start)s, %(start)s, %(start)s,
            0, 0, 0, 0, 0, 0, 0, now())
    ON CONFLICT ("group", topic, partition) DO UPDATE SET
        epoch = ledger.epoch + 1, updated_at = now(),
        consumer = coalesce(nullif(excluded.consumer, ''), ledger.consumer)
    RETURNING epoch, next_offset, counted_to
"""  # noqa: S608  (the table's own name)

_LOCK = f"""
    SELECT topic, partition, epoch, next_offset, counted_to FROM {_TABLE}
    WHERE "group" = %s AND (topic, partition) IN (SELECT * FROM unnest(%s::text[], %s::int[]))
    ORDER BY topic, partition FOR UPDATE
"""  # noqa: S608  (the same)

_ADVANCE = f"""
    UPDATE {_TABLE} AS ledger SET
        next_offset = moved.next_offset, counted_to = greatest(ledger.counted_to, moved.next_offset),
        received = ledger.received + moved.received, written = ledger.written + moved.written,
        duplicates = ledger.duplicates + moved.duplicates, skipped = ledger.skipped + moved.skipped,
        failed = ledger.failed + moved.failed, rows = ledger.rows + moved.rows, updated_at = now(),
        missing = ledger.missing
            + greatest(moved.next_offset - ledger.counted_to - moved.received, 0)
    FROM unnest(%s::text[], %s::int[], %s::bigint[], %s::int[], %s::int[], %s::int[], %s::int[], %s::int[], %s::int[])
        AS moved (topic, partition, next_offset, received, written, duplicates, skipped, failed, rows)
    WHERE ledger."group" = %s AND ledger.topic = moved.topic AND ledger.partition = moved.partition
"""  # noqa: S608  (the same)


class Ledger:
    """The lines of one group. `consumer` is the name that is noted on them."""

    def __init__(self, group: str, using: str, consumer: str = "") -> None:
        self.group = group
        self.using = using
        self.consumer = consumer

    def known(self, sources: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The next offset of those partitions that have a line."""
        return {source: line.next_offset for source, line in self.lines(sources).items()}

    def lines(self, sources: Iterable[TopicPartition]) -> dict[TopicPartition, PartitionLedger]:
        """The lines of those partitions that have one."""
        wanted = set(sources)
        lines = PartitionLedger.objects.using(self.using).filter(group=self.group, topic__in={s.topic for s in wanted})
        found = {TopicPartition(line.topic, line.partition): line for line in lines}
        return {source: line for source, line in found.items() if source in wanted}

    def claim(self, starts: Offsets) -> dict[TopicPartition, Position]:
        """Raise the epoch of each partition, which fences whoever held it. A partition without a line gets one that
        starts at the given offset."""
        claims = {}
        with transaction.atomic(using=self.using), connections[self.using].cursor() as cursor:
            for source, start in sorted(starts.items()):
                line = {"group": self.group, "consumer": self.consumer, "start": start, **source._asdict()}
                cursor.execute(_CLAIM, line)
                claims[source] = Position(*cursor.fetchone())
        return claims

    def lock(self, sources: Iterable[TopicPartition]) -> dict[TopicPartition, Position]:
        """The lines of these partitions, locked until the transaction ends, in a fixed order."""
        wanted = list(sources)
        with connections[self.using].cursor() as cursor:
            cursor.execute(_LOCK, [self.group, [s.topic for s in wanted], [s.partition for s in wanted]])
            return {TopicPartition(row[0], row[1]): Position(*row[2:]) for row in cursor.fetchall()}

    def advance(
        self,
        spans: Mapping[TopicPartition, Span],
        tallies: Mapping[TopicPartition, Tally],
        rows: Mapping[TopicPartition, int],
    ) -> None:
        """Move locked lines to the ends of their spans and add what became of the records, and the new rows.

        Offsets of a span that held no record are counted as missing.
        """
        lines = [(*s, span.end, *tallies[s].as_dict().values(), rows.get(s, 0)) for s, span in spans.items()]
        columns = [list(column) for column in zip(*lines, strict=True)]
        with connections[self.using].cursor() as cursor:
            cursor.execute(_ADVANCE, [*columns, self.group])
