"""What one line or card of the console says: of a worker, a partition, a consumer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from django.utils.http import urlencode

from consumers.admin.console.budget import Budget
from consumers.admin.console.recent import Trend
from consumers.admin.visible import visible
from consumers.models import Control, Worker


class WorkerLine(NamedTuple):
    """A worker, as its line in the table shows it. `state` is what is to be believed: a silent one is stale."""

    worker: Worker
    state: str
    age: timedelta
    up: timedelta
    partitions: int
    in_flight: int
    rss: int
    report: Mapping[str, Any]
    remark: str

    @property
    def consumers(self) -> str:
        return visible(", ".join(map(str, self.worker.consumers)))

    @property
    def id(self) -> str:
        return str(self.worker.pk)

    @property
    def is_live(self) -> bool:
        return self.state in ("running", "draining")


class PartitionLine(NamedTuple):
    """A partition of a group. `lag` is None while nobody knows where its log ends."""

    group: str
    topic: str
    partition: int
    state: str
    worker: Worker | None
    settled: int
    end: int | None
    lag: int | None
    trend: Trend | None
    pauses: Sequence[Control]

    @property
    def key(self) -> str:
        return f"{self.group}-{self.place}"

    @property
    def place(self) -> str:
        return f"{self.topic}[{self.partition}]"

    @property
    def query(self) -> str:
        """What the page that pauses it is to begin with."""
        return "?" + urlencode({"group": self.group, "topic": self.topic, "partition": str(self.partition)})

    @property
    def eta(self) -> timedelta | None:
        """Until it is settled to its end, if it goes on like this."""
        return _eta(self.lag, self.trend)


@dataclass
class ConsumerCard:
    """A consumer of a group, over all its live workers."""

    name: str
    group: str
    workers: int = 0
    lag: int = 0
    unknown: int = 0
    """Partitions whose lag is not known."""
    in_flight: int = 0
    waiting: int = 0
    settled_age: float | None = None
    freshness: float | None = None
    failed_by_reason: dict[str, int] = field(default_factory=dict)
    outages: list[str] = field(default_factory=list)
    sizes: set[int] = field(default_factory=set)
    process_workers: set[int] = field(default_factory=set)
    rates: dict[str, float] = field(default_factory=dict)
    budget: Budget | None = None
    is_idle: bool = False
    """Whether no lane has had work in the last two minutes; the budget is then an earlier one."""
    trend: Trend | None = None

    def add(self, report: Mapping[str, Any], age: timedelta) -> None:
        """Take in what one worker said of it so long ago."""
        self.workers += 1
        self.in_flight += report["in_flight"]
        self.waiting += report["waiting"]
        self.sizes.add(report["chunk_records"])
        self.process_workers.add(report["workers"])
        self.outages += map(visible, outages_of(report))
        if report["settled_age"] is not None:
            settled = report["settled_age"] + age.total_seconds()
            self.settled_age = min(settled, self.settled_age or float("inf"))
        if report["freshness"] is not None:
            self.freshness = max(report["freshness"], self.freshness or 0.0)
        for reason, count in report["failed_by_reason"].items():
            reason = visible(reason)
            self.failed_by_reason[reason] = self.failed_by_reason.get(reason, 0) + count

    @property
    def query(self) -> str:
        """What a page that orders something of it is to begin with."""
        return "?" + urlencode({"group": self.group})

    @property
    def sizes_text(self) -> str:
        return ", ".join(f"{size:,}" for size in sorted(self.sizes))

    @property
    def process_workers_text(self) -> str:
        return ", ".join(f"{number:,}" for number in sorted(self.process_workers))

    @property
    def eta(self) -> timedelta | None:
        return _eta(self.lag, self.trend)


def outages_of(report: Mapping[str, Any]) -> list[str]:
    """What is away, of the database and the broker, by what a worker says of a consumer; older ones say less."""
    broker = report.get("broker")
    told = (report["holding"], f"the broker does not answer: {broker}" if broker else "")
    return [text for text in told if text]


def _eta(lag: int | None, trend: Trend | None) -> timedelta | None:
    """Until so many records are settled, if it goes on like this; None if that would be never, or is over."""
    if not lag or trend is None or trend.slope >= 0:
        return None
    return timedelta(seconds=round(lag / -trend.slope))
