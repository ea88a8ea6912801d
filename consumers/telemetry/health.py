"""Whether a process is alive and ready, judged by its progress: that it still runs says little.

Alive: nothing that a restart would mend. Ready: records that come now are settled soon.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from consumers.reporting.snapshot import ConsumerReport, PartitionReport, ProcessReport


@dataclass(frozen=True)
class Bounds:
    """In seconds."""

    not_ready_after: float = 60.0
    """Records have waited for so long and none was settled: not ready."""
    dead_after: float = 300.0
    """The same, without an outage that explains it: not alive. 0 means never."""


@dataclass(frozen=True)
class Verdict:
    """`faults` tells why not, one sentence each."""

    alive: bool = True
    ready: bool = True
    faults: tuple[str, ...] = ()


def judge(report: ProcessReport, waited: Mapping[str, float], bounds: Bounds) -> Verdict:
    """Judge a process by its report, and by how long each consumer has been seen with records that wait (seconds)."""
    verdicts = [_judge(each, waited.get(each.name, 0.0), report, bounds) for each in report.consumers]
    return Verdict(
        alive=all(verdict.alive for verdict in verdicts),
        ready=all(verdict.ready for verdict in verdicts),
        faults=tuple(fault for verdict in verdicts for fault in verdict.faults),
    )


@dataclass
class Waiting:
    """Remembers since when each consumer has had records that wait. One that was idle for an hour has not been stuck
    for an hour when the first record comes."""

    _since: dict[str, float] = field(default_factory=dict)

    def follow(self, report: ProcessReport) -> dict[str, float]:
        """By consumer, for how many seconds it has had some; to be called with each report, in order."""
        for consumer in report.consumers:
            if has_waiting(consumer):
                self._since.setdefault(consumer.name, report.at)
            else:
                self._since.pop(consumer.name, None)
        return {name: report.at - since for name, since in self._since.items()}


def has_waiting(consumer: ConsumerReport) -> bool:
    """Whether there is something to settle, beyond what an operator has paused."""
    return consumer.in_flight + consumer.waiting > 0 or any(partition.lag for partition in _open(consumer))


def _judge(consumer: ConsumerReport, waited: float, report: ProcessReport, bounds: Bounds) -> Verdict:
    age = consumer.settled_age if consumer.settled_age is not None else report.at - report.started_at
    stalled = min(waited, age) if has_waiting(consumer) else 0.0
    silent = consumer.polled_age
    faults = list(_faults(consumer, stalled, silent, bounds))
    is_stuck = not (consumer.holding or consumer.broker) and max(stalled, silent) > bounds.dead_after > 0
    return Verdict(alive=not is_stuck or consumer.state != "running", ready=not faults, faults=tuple(faults))


def _faults(consumer: ConsumerReport, stalled: float, silent: float, bounds: Bounds) -> Iterator[str]:
    if consumer.state != "running":
        yield f"{consumer.name} is {consumer.state}"
        return
    if consumer.holding:
        yield f"{consumer.name} is held up by an outage: {consumer.holding}"
    if consumer.broker:
        yield f"{consumer.name} does not reach the broker: {consumer.broker}"
    if not (consumer.holding or consumer.broker) and stalled > bounds.not_ready_after:
        yield f"{consumer.name} has settled nothing for {stalled:.0f} s while records wait"
    if silent > bounds.not_ready_after:
        yield f"{consumer.name} has not polled the broker for {silent:.0f} s"
    if consumer.partitions and not _open(consumer):
        yield f"{consumer.name} is paused by an operator"


def _open(consumer: ConsumerReport) -> list[PartitionReport]:
    return [partition for partition in consumer.partitions if not partition.operator_paused]
