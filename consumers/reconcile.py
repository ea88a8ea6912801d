"""Did we lose anything? The ledger, the failure store, the tables and the broker's log, held against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from django.db.models import Count, Model, Q, Sum

from consumers import registry
from consumers.core.records import TopicPartition
from consumers.models import FailedRecord, OffsetGap, PartitionLedger, PositionMove

_GAPS_LOOKED_AT = 20

Key = tuple[str, str, int]
"""A group, a topic and a partition."""


class Log(Protocol):
    """What is asked of the broker."""

    def watermarks(self, source: TopicPartition) -> tuple[int, int]:
        """(first offset there is, offset of the next record to come)."""
        ...

    def first_from(self, source: TopicPartition, offset: int) -> int:
        """The offset of the first record from `offset` on; the end if there is none."""
        ...


@dataclass
class PartitionBooks:
    """One partition's account. `lag` is what is still to come; `remarks` explain, `faults` accuse."""

    group: str
    topic: str
    partition: int
    received: int
    written: int
    duplicates: int
    skipped: int
    failed: int
    missing: int
    next_offset: int
    lag: int
    remarks: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def balances(self) -> bool:
        return not self.faults


@dataclass
class TableBooks:
    """What consumers have written into one table, against what it holds."""

    table: str
    written: int
    held: int

    @property
    def faults(self) -> list[str]:
        lost = self.written - self.held
        return [f"{lost} rows that were written are not in the table any more"] if lost > 0 else []

    @property
    def remarks(self) -> list[str]:
        more = self.held - self.written
        return [f"{more} rows come from elsewhere, not from a consumer"] if more > 0 else []


@dataclass
class Report:
    """All accounts of a reconciliation."""

    partitions: list[PartitionBooks]
    tables: list[TableBooks]

    @property
    def balances(self) -> bool:
        return all(books.balances for books in self.partitions) and not any(table.faults for table in self.tables)

    def as_dict(self) -> dict[str, Any]:
        return {
            "balances": self.balances,
            "partitions": [asdict(each) for each in self.partitions],
            "tables": [{**asdict(t), "faults": t.faults, "remarks": t.remarks} for t in self.tables],
        }


def reconcile(log: Log, *, using: str, topic: str | None = None, group: str | None = None) -> Report:
    """Settle the accounts of all partitions in the ledger, or those of one topic or group.

    Tables are accounted for as a whole, so they are left out when a group is named. Consumers should be idle or at
    least not written to by hand meanwhile: the figures are read one after the other.
    """
    wanted = {name: value for name, value in (("topic", topic), ("group", group)) if value}
    lines = PartitionLedger.objects.using(using).filter(**wanted)
    failures = _failures(using, wanted)
    partitions = [_partition(line, log, failures[line.group, line.topic, line.partition], using) for line in lines]
    return Report(partitions, [] if group else _tables(using, topic))


def _partition(line: PartitionLedger, log: Log, kept: int, using: str) -> PartitionBooks:
    source = TopicPartition(line.topic, line.partition)
    low, high = log.watermarks(source)
    counts = ("received", "written", "duplicates", "skipped", "failed", "missing", "next_offset")
    books = PartitionBooks(
        line.group, *source, **{name: getattr(line, name) for name in counts}, lag=max(0, high - line.next_offset)
    )
    if line.next_offset > high:
        books.faults.append(
            f"the ledger stands at {line.next_offset}, but the log ends at {high}: the topic was made anew, or lost "
            "its end; manage.py seek --to-beginning reads what it holds now"
        )
    if line.next_offset < low:
        books.faults.append(f"offsets {line.next_offset}-{low - 1} were removed from the log before they were read")
    if kept < line.failed:
        books.faults.append(f"{line.failed} records failed, but only {kept} are kept as failed records")
    _explain_missing(books, line, log, low, using)
    return books


def _explain_missing(books: PartitionBooks, line: PartitionLedger, log: Log, low: int, using: str) -> None:
    where = {"group": line.group, "topic": line.topic, "partition": line.partition}
    passed = PositionMove.objects.using(using).filter(**where).aggregate(total=Sum("passed_over"))["total"] or 0
    gaps = list(OffsetGap.objects.using(using).filter(**where))
    if passed:
        books.remarks.append(f"{passed} offsets were passed over by manage.py seek")
    for gap in gaps[-_GAPS_LOOKED_AT:]:
        _judge_gap(books, gap, log, low)
    if len(gaps) > _GAPS_LOOKED_AT:
        books.remarks.append(f"{len(gaps) - _GAPS_LOOKED_AT} earlier gaps are not shown")
    single = line.missing - passed - sum(gap.end - gap.start for gap in gaps)
    if single > 0:
        books.remarks.append(f"{single} single offsets hold no record: ends of transactions, or compaction")


def _judge_gap(books: PartitionBooks, gap: OffsetGap, log: Log, low: int) -> None:
    """Look into the log itself: a record inside the gap would be one that we have lost."""
    name = f"offsets {gap.start}-{gap.end - 1}"
    if gap.start < low:
        books.faults.append(f"{name} were not there when it was their turn, nor are they now: removed by retention")
        return
    first = log.first_from(TopicPartition(gap.topic, gap.partition), gap.start)
    if first < gap.end:
        books.faults.append(f"{name} were passed as empty, but the log holds a record at {first}")
    else:
        books.remarks.append(f"{name} hold no record in the log: compaction or an aborted transaction")


def _failures(using: str, wanted: Mapping[str, str]) -> Counter[Key]:
    """How many failed records are kept, whatever their status."""
    rows = FailedRecord.objects.using(using).filter(**wanted).order_by()
    counts = rows.values_list("group", "topic", "partition").annotate(count=Count("id"))
    return Counter({(group, topic, partition): count for group, topic, partition, count in counts})


def _tables(using: str, topic: str | None) -> list[TableBooks]:
    """Each table that registered consumers write, with all of its writers."""
    writers: dict[type[Model], list[str]] = {}
    chosen: set[type[Model]] = set()
    for consumer in registry.all_consumers():
        writers.setdefault(consumer.model, []).append(consumer.name)
        if topic is None or topic in consumer.topics:
            chosen.add(consumer.model)
    return [_table(model, names, using) for model, names in writers.items() if model in chosen]


def _table(model: type[Model], consumers: Sequence[str], using: str) -> TableBooks:
    by_consumer = Q(consumer__in=consumers)
    lines = PartitionLedger.objects.using(using).filter(by_consumer)
    written = lines.aggregate(total=Sum("rows"))["total"] or 0
    again = FailedRecord.objects.using(using).filter(by_consumer, rows_written__gt=0)
    written += again.aggregate(total=Sum("rows_written"))["total"] or 0
    return TableBooks(model._meta.db_table, written, model._base_manager.using(using).count())
