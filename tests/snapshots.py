"""Reports of consuming processes, for tests of what reads them: all is well unless a test says otherwise."""

from __future__ import annotations

from typing import Any

from consumers.reporting.snapshot import ConsumerReport, LimiterReport, PartitionReport, PoolReport, ProcessReport

NOW = 1_800_000_000.0


def partition(number: int = 0, **changes: Any) -> PartitionReport:
    given: dict[str, Any] = {
        "topic": "ads.clicks",
        "partition": number,
        "state": "active",
        "position": 100,
        "settled": 100,
        "committed": 100,
        "end": 100,
        "lag": 0,
        "epoch": 1,
        "operator_paused": False,
    }
    return PartitionReport(**{**given, **changes})


def consumer(**changes: Any) -> ConsumerReport:
    given: dict[str, Any] = {
        "name": "clicks",
        "group": "clicks",
        "state": "running",
        "tally": {"received": 100, "written": 90, "duplicates": 5, "skipped": 2, "failed": 3},
        "failed_by_reason": {"invalid": 2, "unknown_campaign": 1},
        "chunks": 7,
        "stages": {"poll": 1.0, "write": 0.5, "settle": 0.75},
        "in_flight": 0,
        "waiting": 0,
        "chunk_records": 1000,
        "workers": 16,
        "lanes": 2,
        "freshness": 0.5,
        "settled_age": 1.0,
        "polled_age": 0.1,
        "stands_still": 0.0,
        "holding": "",
        "broker": "",
        "rebalances": 1,
        "fenced": 0,
        "outages": 0,
        "partitions": [partition()],
    }
    return ConsumerReport(**{**given, **changes})


def process(*consumers: ConsumerReport, **changes: Any) -> ProcessReport:
    given: dict[str, Any] = {
        "at": NOW,
        "host": "here",
        "pid": 1,
        "version": "1.2.3",
        "started_at": NOW - 3600,
        "limiter": LimiterReport(2, 2, 8, 1, 0, False, "writers at once 2 to 3: all 2 write and others wait"),
        "pool": PoolReport(4, 10, 1, 0),
        "rss": 100_000_000,
        "cpu_seconds": 12.5,
        "consumers": list(consumers) or [consumer()],
    }
    return ProcessReport(**{**given, **changes})
