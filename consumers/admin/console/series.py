"""The console's charts: what the samples tell over some minutes, as columns of equal steps in time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any

from django.db.models.functions import Now

from consumers.admin.console.recent import OUTCOMES
from consumers.models import WorkerEvent, WorkerSample

MINUTES = (5, 15, 60)
MOST_STEPS = 120
MAY_BE_OLD = 20.0
"""Seconds for which a sample stands for what it says."""

Column = list[float | None]


def series(minutes: int) -> dict[str, Any]:
    """The times (seconds since the epoch) and, by chart and line, a value for each; None where nothing was told."""
    step = max(10, -(-minutes * 60 // (MOST_STEPS * 10)) * 10)
    names = ("worker", "consumer", "at", *OUTCOMES, "limit", "freshness", "lags")
    rows = WorkerSample.objects.filter(at__gt=Now() - timedelta(minutes=minutes, seconds=30))
    runs = _runs(rows.order_by("worker", "consumer", "at").values(*names))
    ends = [sample["at"].timestamp() for run in runs for sample in run[-1:]]
    if not ends:
        return {"step": step, "at": [], "rates": {}, "lag": {}, "freshness": {}, "limit": {}, "marks": []}
    last = int(max(ends) // step) - 1  # the step that has not ended would look like a fall
    at = [number * step for number in range(last - minutes * 60 // step + 1, last + 1)]
    return {
        "step": step,
        "at": at,
        "rates": _rates(runs, at, step),
        "lag": _gauges(runs, at, step, _lag, sum),
        "freshness": _gauges(runs, at, step, lambda sample: sample["freshness"], max),
        "limit": _limits(runs, at, step),
        "marks": _marks(minutes),
    }


def _runs(rows: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The samples of each worker's consumer."""
    runs: dict[tuple[object, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        runs[row["worker"], row["consumer"]].append(row)
    return list(runs.values())


def _lag(sample: Mapping[str, Any]) -> int:
    return sum(lag for lags in sample["lags"].values() for lag in lags.values())


def _rates(runs: list[list[dict[str, Any]]], at: list[int], step: int) -> dict[str, Column]:
    """Records a second by outcome: what was counted between two samples, shared out over the steps between them."""
    place = {time: index for index, time in enumerate(at)}
    columns: dict[str, Column] = {name: [None] * len(at) for name in OUTCOMES}
    for run in runs:
        for before, after in pairwise(run):
            for time, share in _shares(before["at"].timestamp(), after["at"].timestamp(), step):
                if time in place:
                    for name in OUTCOMES:
                        _add(columns[name], place[time], (after[name] - before[name]) * share / step)
    return columns


def _add(column: Column, index: int, value: float) -> None:
    column[index] = round((column[index] or 0.0) + value, 3)


def _shares(start: float, end: float, step: int) -> Iterator[tuple[int, float]]:
    """The steps between two moments, and the part of that time that lies in each."""
    time = int(start // step) * step
    while end > start and time < end:
        yield time, (min(end, time + step) - max(start, time)) / (end - start)
        time += step


def _gauges(runs: list[list[dict[str, Any]]], at: list[int], step: int, value: Any, together: Any) -> dict[str, Column]:
    """By consumer: what its workers last said at each step, taken together."""
    said: dict[str, list[list[float]]] = defaultdict(lambda: [[] for _ in at])
    for run in runs:
        for index, sample in _latest(run, at, step):
            found = value(sample)
            if found is not None:
                said[sample["consumer"]][index].append(found)
    return {
        name: [round(together(values), 2) if values else None for values in column] for name, column in said.items()
    }


def _limits(runs: list[list[dict[str, Any]]], at: list[int], step: int) -> dict[str, Column]:
    """Lanes that may write at once, over all workers; a process's consumers tell the same limit, which counts once."""
    limits: list[dict[object, int]] = [{} for _ in at]
    for run in runs:
        for index, sample in _latest(run, at, step):
            limits[index][sample["worker"]] = sample["limit"]
    return {"writers": [sum(each.values()) if each else None for each in limits]}


def _latest(run: list[dict[str, Any]], at: list[int], step: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """The sample that holds at the end of each step, where one is recent enough."""
    number, latest = 0, None
    for index, time in enumerate(at):
        while number < len(run) and run[number]["at"].timestamp() < time + step:
            latest = run[number]
            number += 1
        if latest is not None and time + step - latest["at"].timestamp() <= max(MAY_BE_OLD, step):
            yield index, latest


def _marks(minutes: int) -> list[dict[str, Any]]:
    """When workers started, with the version that they run."""
    events = WorkerEvent.objects.filter(kind="start", at__gt=Now() - timedelta(minutes=minutes)).order_by("at")
    return [
        {"at": at.timestamp(), "version": version} for at, version in events.values_list("at", "worker__version")[:50]
    ]
