"""CPU and memory of processes, looked at from outside ten times a second, and read off for any stretch of time."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple

import psutil

EVERY = 0.1
LOOK_FOR_CHILDREN_EVERY = 0.5


class Sample(NamedTuple):
    """CPU seconds used so far, and the resident memory in bytes of the largest process of the consumer's."""

    at: float
    consumer: float
    postgres: float
    kafka: float
    machine: float
    rss: int


class Tree:
    """A process and its descendants. CPU of those that ended is in their parent's account (on Linux)."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._members = [self._root]
        self._looked_at = 0.0
        self._cpu = 0.0

    def look(self) -> None:
        """Find new descendants, now and then: it means a look at every process of the machine."""
        if time.monotonic() - self._looked_at >= LOOK_FOR_CHILDREN_EVERY:
            self._looked_at = time.monotonic()
            try:
                self._members = [self._root, *self._root.children(recursive=True)]
            except psutil.Error:
                self._members = [self._root]

    def cpu(self) -> float:
        """CPU seconds of all, never less than last time (one that has just ended is nowhere for a moment)."""
        self._cpu = max(self._cpu, sum(_cpu_of(member) for member in self._members))
        return self._cpu

    def rss(self) -> int:
        return max(map(_rss_of, self._members))


def _cpu_of(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _rss_of(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _machine_busy() -> float:
    """CPU seconds of the whole machine that were not idle."""
    times = psutil.cpu_times()
    return float(sum(times[:3]) + sum(getattr(times, name, 0.0) for name in ("irq", "softirq", "steal")))


@dataclass(frozen=True)
class Usage:
    """What a stretch of time cost, in CPU seconds; `elsewhere` is what others on this machine took."""

    consumer: float
    postgres: float
    kafka: float
    elsewhere: float


class Sampler:
    """A context manager that samples in a thread of its own while its block lasts."""

    def __init__(self, consumers: Sequence[int], postgres: int, kafka: int) -> None:
        self._consumers = [Tree(pid) for pid in consumers]
        self._postgres, self._kafka = Tree(postgres), Tree(kafka)
        self.samples: list[Sample] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler")

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(EVERY):
            self.samples.append(self._sample())

    def _sample(self) -> Sample:
        for tree in (*self._consumers, self._postgres, self._kafka):
            tree.look()
        return Sample(
            at=time.time(),
            consumer=sum(tree.cpu() for tree in self._consumers),
            postgres=self._postgres.cpu(),
            kafka=self._kafka.cpu(),
            machine=_machine_busy(),
            rss=max(tree.rss() for tree in self._consumers),
        )


def usage(samples: Sequence[Sample], started: float, ended: float) -> Usage:
    """What happened between two moments (seconds since the epoch), straight lines drawn between samples."""

    def spent(column: Callable[[Sample], float]) -> float:
        return _at(samples, ended, column) - _at(samples, started, column)

    consumer, postgres = spent(lambda each: each.consumer), spent(lambda each: each.postgres)
    kafka, machine = spent(lambda each: each.kafka), spent(lambda each: each.machine)
    return Usage(consumer, postgres, kafka, max(0.0, machine - consumer - postgres - kafka))


def peak_rss(samples: Sequence[Sample], started: float = 0.0, ended: float = float("inf")) -> int:
    """The most memory of one process between two moments, in bytes; 0 if there is no sample between them."""
    return max((each.rss for each in samples if started <= each.at <= ended), default=0)


def _at(samples: Sequence[Sample], moment: float, column: Callable[[Sample], float]) -> float:
    after = bisect_left(samples, moment, key=lambda each: each.at)
    if after == 0 or after == len(samples):
        return column(samples[0] if after == 0 else samples[-1])
    left, right = samples[after - 1], samples[after]
    share = (moment - left.at) / (right.at - left.at)
    return column(left) + share * (column(right) - column(left))
