"""Workers that report, as the console's tests need them: their rows, without the processes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from consumers.models import PartitionLedger, Worker, WorkerSample

GROUP, TOPIC = "clicks", "ads.clicks"
CONSOLE = "/admin/consumers/worker/"


def ledger_line(partition: int = 0, at: int = 100, group: str = GROUP, topic: str = TOPIC) -> PartitionLedger:
    return PartitionLedger.objects.create(
        group=group, consumer="clicks", topic=topic, partition=partition, next_offset=at, counted_to=at, received=at,
        written=at, epoch=1,
    )  # fmt: skip


def partition(number: int = 0, **fields: Any) -> dict[str, Any]:
    """What a report says of a partition."""
    return {
        "topic": TOPIC, "partition": number, "state": "active", "position": 100, "settled": 100, "committed": 100,
        "end": 100, "lag": 0, "epoch": 1, "operator_paused": False, **fields,
    }  # fmt: skip


def consumer(*partitions: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """What a report says of a consumer."""
    return {
        "name": "clicks", "group": GROUP, "state": "running", "failed_by_reason": {}, "chunks": 7, "stages": {},
        "tally": {"received": 0, "written": 0, "duplicates": 0, "skipped": 0, "failed": 0},
        "in_flight": 5, "waiting": 0, "chunk_records": 1_000, "workers": 16, "lanes": 2, "freshness": 0.5,
        "settled_age": 0.1, "polled_age": 0.1, "stands_still": 0.0, "holding": "", "rebalances": 1, "fenced": 0,
        "outages": 0, "partitions": list(partitions), **fields,
    }  # fmt: skip


def worker(*consumers: dict[str, Any], **fields: Any) -> Worker:
    """A worker that has just reported these consumers."""
    said = list(consumers) or [consumer(partition())]
    now = timezone.now()
    report = {
        "limiter": {
            "limit": 2, "floor": 2, "ceiling": 8, "writing": 1, "waiting": 0, "is_fixed": False,
            "last_move": "writers at once 4 to 2: 3 of 4 active backends wait for locks",
        },
        "pool": {"size": 4, "max": 10, "in_use": 3, "waiting": 0},
        "rss": 90_000_000, "cpu_seconds": 4.5, "consumers": said,
    }  # fmt: skip
    given: dict[str, Any] = {
        "host": "web-1", "pid": 4711, "version": "v7", "consumers": [each["name"] for each in said],
        "groups": [each["group"] for each in said], "started_at": now - timedelta(minutes=5), "seen_at": now,
        "report": report, **fields,
    }  # fmt: skip
    return Worker.objects.create(**given)


def sample(of: Worker, at: datetime, **fields: Any) -> WorkerSample:
    return WorkerSample.objects.create(worker=of, at=at, consumer=fields.pop("consumer", "clicks"), **fields)
