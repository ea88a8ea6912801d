"""A process's report as metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from consumers.core.exposition import Metric, Sample
from consumers.core.histogram import Histogram
from consumers.core.lifecycle import State
from consumers.core.printable import printable
from consumers.reporting.snapshot import ConsumerReport, PartitionReport, ProcessReport
from consumers.telemetry import catalogue as the
from consumers.telemetry.health import Verdict

STATES = tuple(state.name.lower() for state in State)


def samples(
    report: ProcessReport, verdict: Verdict, spreads: Mapping[str, Mapping[Metric, Histogram]] | None = None
) -> Iterator[Sample]:
    """A process as metrics. `spreads` are the histograms of its consumers, by name."""
    yield from _of_process(report, verdict)
    for consumer in report.consumers:
        labels = (consumer.name, consumer.group)
        yield from _of_consumer(consumer, report.at, labels)
        for metric, histogram in (spreads or {}).get(consumer.name, {}).items():
            yield Sample(metric, histogram, labels)
        for partition in consumer.partitions:
            yield from _of_partition(partition, (*labels, partition.topic, str(partition.partition)))


def _of_process(report: ProcessReport, verdict: Verdict) -> Iterator[Sample]:
    limiter, pool = report.limiter, report.pool
    yield Sample(the.ALIVE, int(verdict.alive))
    yield Sample(the.READY, int(verdict.ready))
    yield Sample(the.WRITERS_LIMIT, limiter.limit)
    yield Sample(the.WRITERS_CEILING, limiter.ceiling)
    yield from _by_label(the.WRITERS, {"writing": limiter.writing, "waiting": limiter.waiting})
    yield from _by_label(the.CONNECTIONS, {"in_use": pool.in_use, "idle": pool.size - pool.in_use})
    yield Sample(the.CONNECTIONS_MAX, pool.max)
    yield Sample(the.POOL_WAITING, pool.waiting)
    yield Sample(the.RESIDENT, report.rss)
    yield Sample(the.CPU, report.cpu_seconds)
    yield Sample(the.STARTED, report.started_at)
    yield Sample(the.INFO, 1, (report.version,))


def _of_consumer(consumer: ConsumerReport, at: float, labels: tuple[str, ...]) -> Iterator[Sample]:
    outcomes = {name: count for name, count in consumer.tally.items() if name != "received"}
    yield from _by_label(the.RECORDS, outcomes, labels)
    yield from _by_label(the.FAILURES, bounded(consumer.failed_by_reason), labels)
    yield from _by_label(the.STAGES, consumer.stages, labels)
    yield from _by_label(the.STATE, {state: int(state == consumer.state) for state in STATES}, labels)
    plain: dict[Metric, float] = {
        the.CHUNKS: consumer.chunks,
        the.IN_FLIGHT: consumer.in_flight,
        the.WAITING: consumer.waiting,
        the.CHUNK_LIMIT: consumer.chunk_records,
        the.WORKERS: consumer.workers,
        the.LANES: consumer.lanes,
        the.LAST_POLLED: round(at - consumer.polled_age, 3),
        the.STANDSTILL: round(consumer.stands_still, 3),
        the.HOLDING: int(bool(consumer.holding)),
        the.BROKER_AWAY: int(bool(consumer.broker)),
        the.REBALANCES: consumer.rebalances,
        the.FENCED: consumer.fenced,
        the.OUTAGES: consumer.outages,
    }
    if consumer.settled_age is not None:
        plain[the.LAST_SETTLED] = round(at - consumer.settled_age, 3)
    yield from (Sample(metric, value, labels) for metric, value in plain.items())


def _of_partition(partition: PartitionReport, labels: tuple[str, ...]) -> Iterator[Sample]:
    known = {the.SETTLED: partition.settled, the.COMMITTED: partition.committed, the.END: partition.end}
    yield from (Sample(metric, offset, labels) for metric, offset in known.items() if offset >= 0)
    if partition.lag is not None:
        yield Sample(the.LAG, partition.lag, labels)
    yield Sample(the.PAUSED, int(partition.operator_paused), labels)


def _by_label(metric: Metric, values: Mapping[str, float], labels: Iterable[str] = ()) -> Iterator[Sample]:
    """One sample for each value of the metric's last label."""
    return (Sample(metric, value, (*labels, name)) for name, value in values.items())


def bounded(reasons: Mapping[str, int]) -> dict[str, int]:
    """Counts by reason, as labels: the most frequent ones, the others together."""
    ordered = Counter(reasons).most_common()
    kept: Counter[str] = Counter()
    for place, (reason, count) in enumerate(ordered):
        kept[printable(reason)[:100] if place < the.MOST_REASONS else the.OTHER] += count
    return dict(kept)


def spreads_of(statistics: Any) -> dict[Metric, Histogram]:
    """The histograms that a run's statistics hold."""
    return {the.CHUNK_SECONDS: statistics.chunk_seconds, the.FRESHNESS: statistics.freshness_seconds}
