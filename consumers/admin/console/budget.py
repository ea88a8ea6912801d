"""Where the lanes' time went: in the last two minutes or, if no lane had work in those, in the two up to the last
chunk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from itertools import groupby
from operator import or_
from typing import Any, NamedTuple

from django.db.models import Q
from django.db.models.functions import Now

from consumers.models import WorkerSample

WINDOW = timedelta(minutes=2)
SLACK = timedelta(seconds=10)
"""After a chunk was settled, until a sample tells of it."""

STAGES = (
    ("decode", "decode"),
    ("prefetch", "prefetch"),
    ("process", "process"),
    ("write", "write rows"),
    ("commit", "ledger and commit"),
    ("wait", "wait for records"),
)
"""`poll` is left out: it runs beside the lanes."""
_WORK = ("decode", "prefetch", "process", "settle")

Key = tuple[str, str]
"""Group and consumer."""
Samples = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Budget:
    """`shares` is what each stage had of the lanes' time, with its label. `ended` is how long ago those two minutes
    were over; None: they are the last ones."""

    shares: Sequence[tuple[str, float]]
    ended: timedelta | None = None

    @property
    def bar(self) -> list[tuple[int, str, float, float]]:
        """The stages as parts of a bar a thousand wide: their number, name, start and width."""
        parts, start = [], 0.0
        for index, (label, share) in enumerate(self.shares):
            parts.append((index, label, round(start, 1), round(1_000 * share, 1)))
            start += 1_000 * share
        return parts


class Rest(NamedTuple):
    """Of a consumer whose lanes have had no work: how long ago one of its workers settled a chunk, and which those
    workers are."""

    since: timedelta
    workers: Sequence[object]


def spent(runs: Iterable[Samples]) -> dict[str, float]:
    """Seconds by stage, over the samples of each worker; empty if that cannot be told yet."""
    seconds: dict[str, float] = defaultdict(float)
    for samples in runs:
        if len(samples) > 1:
            before, after = samples[0]["stages"], samples[-1]["stages"]
            for name, value in after.items():
                seconds[name] += max(0.0, value - before.get(name, 0.0))
    return dict(seconds)


def has_work(seconds: Mapping[str, float]) -> bool:
    """Whether lanes did anything but wait."""
    return any(seconds.get(name) for name in _WORK)


def budget(seconds: Mapping[str, float], ended: timedelta | None = None) -> Budget:
    """Made of what has work."""
    own = {**seconds, "commit": max(0.0, seconds.get("settle", 0.0) - seconds.get("write", 0.0))}
    shown = [(label, own.get(name, 0.0)) for name, label in STAGES]
    total = sum(value for _, value in shown)
    return Budget([(label, value / total) for label, value in shown], ended)


def last_budgets(resting: Mapping[Key, Rest]) -> dict[Key, Budget]:
    """Of consumers at rest, as far as samples still tell; in one query."""
    if not resting:
        return {}
    chosen = reduce(or_, (_samples_of(name, rest) for (_, name), rest in resting.items()))
    rows = WorkerSample.objects.filter(chosen).order_by("worker", "consumer", "at")
    columns = rows.values("worker", "consumer", "stages")
    runs = {run: list(samples) for run, samples in groupby(columns, key=lambda row: (row["worker"], row["consumer"]))}
    found = {
        (group, name): (spent(runs.get((worker, name), ()) for worker in rest.workers), rest.since)
        for (group, name), rest in resting.items()
    }
    return {key: budget(seconds, since) for key, (seconds, since) in found.items() if has_work(seconds)}


def _samples_of(consumer: str, rest: Rest) -> Q:
    settled = Now() - rest.since
    return Q(worker__in=rest.workers, consumer=consumer, at__gt=settled - WINDOW, at__lte=settled + SLACK)
