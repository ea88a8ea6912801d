"""What the samples of the last two minutes tell: rates, where the time went, and whether lag grows or falls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

from django.db.models.functions import Now

from consumers.admin.console.budget import WINDOW, spent
from consumers.models import WorkerSample

TREND_WINDOW = timedelta(seconds=65)
RATE_WINDOW = 30.0
"""Seconds that a rate is an average over."""
LEAST_SPAN = 9.0
"""Seconds between two samples from which a trend can be told."""
STEADY = 0.5
"""Records a second by which lag may change and count as steady."""
OUTCOMES = ("written", "duplicates", "skipped", "failed")

_COLUMNS = ("worker", "consumer", "at", *OUTCOMES, "stages", "lags")

Place = tuple[str, str, int]


class Trend(NamedTuple):
    """How lag changes, in records a second, and in a word."""

    slope: float

    @property
    def size(self) -> float:
        return abs(self.slope)

    @property
    def word(self) -> str:
        if abs(self.slope) < STEADY:
            return "steady"
        return "growing" if self.slope > 0 else "falling"


@dataclass
class Recent:
    """The samples, by worker and consumer and by partition."""

    runs: dict[tuple[str, str], list[list[dict[str, Any]]]] = field(default_factory=lambda: defaultdict(list))
    """By group and consumer: the samples of each worker, ascending."""
    lags: dict[Place, list[tuple[datetime, int]]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def read(cls, group_of: Mapping[tuple[object, str], str]) -> Recent:
        """`group_of` tells the group of a worker's consumer."""
        rows = WorkerSample.objects.filter(at__gt=Now() - WINDOW).order_by("worker", "consumer", "at")
        recent = cls()
        for run, samples in groupby(rows.values(*_COLUMNS), key=lambda row: (row["worker"], str(row["consumer"]))):
            group = group_of.get(run, run[1])
            recent._add(group, run[1], list(samples))
        for points in recent.lags.values():
            points.sort()
        return recent

    def _add(self, group: str, consumer: str, samples: list[dict[str, Any]]) -> None:
        self.runs[group, consumer].append(samples)
        for sample in samples:
            for topic, lags in sample["lags"].items():
                for number, lag in lags.items():
                    self.lags[group, topic, int(number)].append((sample["at"], lag))

    def rates(self, group: str, consumer: str) -> dict[str, float]:
        """Records a second by outcome, over the last half minute and all workers."""
        rates = dict.fromkeys(OUTCOMES, 0.0)
        for samples in self.runs.get((group, consumer), ()):
            latest = samples[-1]
            first = next(each for each in samples if (latest["at"] - each["at"]).total_seconds() <= RATE_WINDOW)
            seconds = (latest["at"] - first["at"]).total_seconds()
            if seconds > 0:
                for name in OUTCOMES:
                    rates[name] += (latest[name] - first[name]) / seconds
        return rates

    def spent(self, group: str, consumer: str) -> dict[str, float]:
        """Seconds that lanes spent in each stage; empty if that cannot be told yet."""
        return spent(self.runs.get((group, consumer), ()))

    def trend(self, place: Place) -> Trend | None:
        """Of one partition's lag, whoever held it."""
        return _trend(self.lags.get(place, ()))

    def total_trend(self, places: Iterable[Place]) -> Trend | None:
        """Of their lag together."""
        known = [trend for trend in map(self.trend, places) if trend is not None]
        return Trend(sum(trend.slope for trend in known)) if known else None


def _trend(points: Sequence[tuple[datetime, int]]) -> Trend | None:
    """The slope of the least-squares line through the points of the last minute; what has come to its end is steady."""
    points = [point for point in points if points[-1][0] - point[0] <= TREND_WINDOW]
    if points and not points[-1][1]:
        return Trend(0.0)
    if len(points) < 2 or (points[-1][0] - points[0][0]).total_seconds() < LEAST_SPAN:
        return None
    start = points[0][0]
    xs = [(at - start).total_seconds() for at, _ in points]
    ys = [lag for _, lag in points]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    return Trend(sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread)
