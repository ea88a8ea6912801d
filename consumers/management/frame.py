"""What the live view shows: a report as lines of text, no wider than the terminal."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from unicodedata import category, east_asian_width

from consumers.core.printable import printable
from consumers.reporting.snapshot import ConsumerReport, LimiterReport, PartitionReport, PoolReport, ProcessReport

BAD = "\x1b[31m"
PLAIN = "\x1b[0m"

_WINDOW = 3.0
"""Seconds that a rate is taken over."""


class Rates:
    """Records a second of each consumer, over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, dict[str, int]]] = deque()

    def add(self, report: ProcessReport) -> dict[str, float]:
        """Take in a report; gives the rates by consumer."""
        counts = {consumer.name: consumer.tally["received"] for consumer in report.consumers}
        self._seen.append((report.at, counts))
        while len(self._seen) > 2 and self._seen[0][0] < report.at - _WINDOW:
            self._seen.popleft()
        at, before = self._seen[0]
        seconds = max(report.at - at, 0.001)
        return {name: (count - before.get(name, 0)) / seconds for name, count in counts.items()}


def frame(report: ProcessReport, rates: dict[str, float], width: int, *, colour: bool) -> list[str]:
    """The view's lines, each within `width` cells."""
    lines = [
        line for consumer in report.consumers for line in _consumer(consumer, rates.get(consumer.name, 0.0), width)
    ]
    lines += [*_process(report.limiter, report.pool), "Ctrl-C drains and stops"]
    return [_coloured(fit(printable(line), width), colour=colour) for line in lines]


def last_lines(report: ProcessReport, width: int) -> list[str]:
    """What is left of the view at the end: a line for each consumer."""
    seconds = max(report.at - report.started_at, 0.001)
    told = (f"{c.name}: {_counts(c)} ({c.tally['received'] / seconds:,.0f}/s)" for c in report.consumers)
    return [fit(printable(line), width) for line in told]


def fit(text: str, width: int) -> str:
    """The text cut to so many cells of a terminal; wide characters take two."""
    cells = 0
    for place, char in enumerate(text):
        cells += 0 if category(char) in ("Mn", "Me") else 2 if east_asian_width(char) in "WF" else 1
        if cells > width:
            return text[:place]
    return text


def _consumer(consumer: ConsumerReport, rate: float, width: int) -> Iterator[str]:
    yield f"{consumer.name}  group {consumer.group}  {consumer.state}"
    yield f"  {rate:,.0f}/s  {_counts(consumer)}"
    if consumer.failed_by_reason:
        most = sorted(consumer.failed_by_reason.items(), key=lambda each: -each[1])
        yield "! failed: " + _joined([f"{reason} {count:,}" for reason, count in most], width - 10)
    fresh = "" if consumer.freshness is None else f"  freshness {consumer.freshness:,.1f} s"
    yield f"  in flight {consumer.in_flight:,}  waiting {consumer.waiting:,}  chunk {consumer.chunk_records:,}{fresh}"
    yield "  " + _lag(consumer.partitions, width - 2)
    if consumer.holding:
        yield f"! HELD UP {consumer.holding}"
    if consumer.broker:
        yield f"! BROKER AWAY {consumer.broker}"


def _lag(partitions: Sequence[PartitionReport], width: int) -> str:
    if not partitions:
        return "no partition assigned yet"
    ordered = sorted(partitions, key=lambda each: (-(each.lag or 0), each.topic, each.partition))
    total = sum(partition.lag or 0 for partition in partitions)
    head = f"lag {total:,}: "
    return head + _joined([_partition(partition) for partition in ordered], width - len(head))


def _partition(partition: PartitionReport) -> str:
    lag = "?" if partition.lag is None else f"{partition.lag:,}"
    state = "paused by order" if partition.operator_paused else partition.state
    return f"{partition.topic}[{partition.partition}] {lag}" + ("" if state == "active" else f" ({state})")


def _process(limiter: LimiterReport, pool: PoolReport) -> Iterator[str]:
    how = " (held by hand)" if limiter.is_fixed else ""
    connections = f"  connections {pool.in_use} of {pool.max} in use" if pool.max else ""
    yield f"writers {limiter.writing} of {limiter.limit}{how}, at most {limiter.ceiling}{connections}"
    if limiter.last_move:
        yield f"  {limiter.last_move}"


def _counts(consumer: ConsumerReport) -> str:
    tally = consumer.tally
    rest = [f"{tally[name]:,} {name}" for name in ("duplicates", "skipped", "failed") if tally[name]]
    return ", ".join([f"{tally['received']:,} received", f"{tally['written']:,} written", *rest])


def _joined(parts: Iterable[str], width: int) -> str:
    """As many parts as have room, and how many more there are."""
    left = list(parts)
    text = ""
    while left:
        more = f" (+{len(left) - 1} more)" if len(left) > 1 else ""
        candidate = f"{text}{'  ' if text else ''}{left[0]}"
        if text and len(candidate) + len(more) > width:
            return f"{text} (+{len(left)} more)"
        text = candidate
        left.pop(0)
    return text


def _coloured(line: str, *, colour: bool) -> str:
    return f"{BAD}{line}{PLAIN}" if colour and line.startswith("!") else line
