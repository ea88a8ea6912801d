"""What the console shows of this moment: workers, consumers and partitions, from the rows that workers write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now
from django.utils import timezone

from consumers.admin.console.budget import Key, Rest, budget, has_work, last_budgets
from consumers.admin.console.lines import ConsumerCard, PartitionLine, WorkerLine, outages_of
from consumers.admin.console.recent import Recent
from consumers.admin.visible import visible
from consumers.core.orders import Pauses
from consumers.core.records import TopicPartition
from consumers.models import Control, PartitionLedger, Worker
from consumers.orders import in_force, pauses_of

SHOWN_FOR = timedelta(hours=1)
"""Since a worker was last seen; after that it is history."""
STALE_AFTER = timedelta(seconds=15)
MOST_WORKERS = 200
MOST_PARTITIONS = 1_000

Place = tuple[str, str, int]
"""Group, topic, partition."""


@dataclass(frozen=True)
class Live:
    """The console's tables."""

    at: datetime
    workers: list[WorkerLine]
    consumers: list[ConsumerCard]
    partitions: list[PartitionLine]
    left_out: int
    """Partitions beyond those that are shown."""

    @property
    def running(self) -> int:
        return sum(line.is_live for line in self.workers)

    @property
    def stale(self) -> int:
        return sum(line.state == "stale" for line in self.workers)

    @property
    def total_lag(self) -> int:
        return sum(card.lag for card in self.consumers)

    @property
    def unknown(self) -> int:
        return sum(card.unknown for card in self.consumers)

    @property
    def written(self) -> float:
        return sum(card.rates.get("written", 0.0) for card in self.consumers)

    @property
    def failed(self) -> float:
        return sum(card.rates.get("failed", 0.0) for card in self.consumers)

    @property
    def has_groups(self) -> bool:
        """Whether a topic alone does not tell whose partitions are meant."""
        return len({line.group for line in self.partitions}) > 1


def look() -> Live:
    """Read all of it, in a handful of queries."""
    workers = _workers()
    recent = Recent.read(_group_of(workers))
    partitions = _partitions(workers, recent)
    return Live(
        at=timezone.now(),
        workers=workers,
        consumers=_consumers(workers, partitions, recent),
        partitions=partitions[:MOST_PARTITIONS],
        left_out=max(0, len(partitions) - MOST_PARTITIONS),
    )


def _workers() -> list[WorkerLine]:
    age = ExpressionWrapper(Now() - F("seen_at"), output_field=DurationField())
    rows = Worker.objects.filter(seen_at__gt=Now() - SHOWN_FOR).annotate(age=age).order_by("host", "started_at")
    lines = [_worker(row) for row in rows[:MOST_WORKERS]]
    return sorted(lines, key=lambda line: not line.is_live)


def _worker(row: Any) -> WorkerLine:
    is_over = row.state in (Worker.State.STOPPED, Worker.State.FAILED)
    state = "stale" if not is_over and row.age > STALE_AFTER else str(row.state)
    consumers = row.report.get("consumers", [])
    return WorkerLine(
        worker=row,
        state=state,
        age=max(row.age, timedelta(0)),
        up=row.seen_at - row.started_at,
        partitions=sum(len(each["partitions"]) for each in consumers),
        in_flight=sum(each["in_flight"] for each in consumers),
        rss=row.report.get("rss", 0),
        report=row.report,
        remark=visible(row.why or "; ".join(text for each in consumers for text in outages_of(each))),
    )


def _partitions(workers: Sequence[WorkerLine], recent: Recent) -> list[PartitionLine]:
    """Every partition that a group has a line for, or a live worker holds; whoever reported last is believed."""
    held = _held(workers)
    pauses = [(order, pauses_of([order])) for order in in_force(DEFAULT_DB_ALIAS).filter(kind=Control.Kind.PAUSE)]
    groups = {group for group, _, _ in held}
    lines = PartitionLedger.objects.filter(group__in=groups | _groups_seen(workers))
    columns = lines.values_list("group", "topic", "partition", "next_offset")
    settled = {(group, topic, partition): offset for group, topic, partition, offset in columns}
    return [
        _partition(place, held.get(place), settled, pauses, recent) for place in sorted(held.keys() | settled.keys())
    ]


def _group_of(workers: Sequence[WorkerLine]) -> dict[tuple[object, str], str]:
    """The group of each worker's consumer."""
    return {
        (line.worker.pk, str(each["name"])): str(each["group"])
        for line in workers
        for each in line.report.get("consumers", [])
    }


def _groups_seen(workers: Sequence[WorkerLine]) -> set[str]:
    return {str(group) for line in workers for group in line.worker.groups}


def _held(workers: Sequence[WorkerLine]) -> dict[Place, tuple[Worker, Mapping[str, Any]]]:
    held: dict[Place, tuple[Worker, Mapping[str, Any]]] = {}
    for line in sorted((line for line in workers if line.is_live), key=lambda line: -line.age):
        for consumer in line.report.get("consumers", []):
            for each in consumer["partitions"]:
                held[consumer["group"], each["topic"], each["partition"]] = (line.worker, each)
    return held


def _partition(
    place: Place,
    held: tuple[Worker, Mapping[str, Any]] | None,
    ledger: Mapping[Place, int],
    pauses: Sequence[tuple[Control, Pauses]],
    recent: Recent,
) -> PartitionLine:
    group, topic, number = place
    worker, said = held or (None, {})
    source = TopicPartition(topic, number)
    ours = [order for order, covered in pauses if order.group in ("", group) and covered.covers(source)]
    settled = max(said.get("settled", -1), ledger.get(place, -1))
    end = max(said["end"], settled) if said.get("end", -1) >= 0 else -1
    return PartitionLine(
        group=group,
        topic=topic,
        partition=number,
        state=_state(said, bool(ours)),
        worker=worker,
        settled=settled,
        end=end if end >= 0 else None,
        lag=max(0, end - settled) if end >= 0 <= settled else None,
        trend=recent.trend(place),
        pauses=ours,
    )


def _state(said: Mapping[str, Any], is_ordered: bool) -> str:
    if not said:
        return "paused, no worker" if is_ordered else "no worker"
    if said["operator_paused"] or is_ordered:
        return "paused" if said["state"] == "paused" else "pausing" if is_ordered else "resuming"
    return "full" if said["state"] == "paused" else str(said["state"])


def _consumers(
    workers: Sequence[WorkerLine], partitions: Sequence[PartitionLine], recent: Recent
) -> list[ConsumerCard]:
    cards: dict[Key, ConsumerCard] = {}
    for line in workers:
        for report in line.report.get("consumers", []):
            key = (report["group"], report["name"])
            card = cards.setdefault(key, ConsumerCard(report["name"], report["group"]))
            if line.is_live:
                card.add(report, line.age)
    for card in cards.values():
        own = [line for line in partitions if line.group == card.group]
        card.lag = sum(line.lag or 0 for line in own)
        card.unknown = sum(line.lag is None for line in own)
        card.rates = recent.rates(card.group, card.name)
        card.trend = recent.total_trend([(line.group, line.topic, line.partition) for line in own])
    _tell_budgets(cards, workers, recent)
    return [cards[key] for key in sorted(cards)]


def _tell_budgets(cards: Mapping[Key, ConsumerCard], workers: Sequence[WorkerLine], recent: Recent) -> None:
    resting: dict[Key, Rest] = {}
    for key, card in cards.items():
        seconds = recent.spent(*key)
        if has_work(seconds):
            card.budget = budget(seconds)
        elif seconds:
            card.is_idle = True
            if card.settled_age is not None:
                resting[key] = Rest(timedelta(seconds=card.settled_age), _workers_of(key, workers))
    for key, last in last_budgets(resting).items():
        cards[key].budget = last


def _workers_of(key: Key, workers: Sequence[WorkerLine]) -> list[object]:
    return [
        line.worker.pk
        for line in workers
        if line.is_live and any((each["group"], each["name"]) == key for each in line.report.get("consumers", []))
    ]
