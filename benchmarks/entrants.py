"""Who takes part: the contenders, and how each of them is started."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.shapes import Shape

THIN = {"clicks": "consume_clicks", "payments": "consume_payments"}


@dataclass(frozen=True)
class Task:
    """What a contender is told."""

    shape: Shape
    group: str
    records: int
    chunk: int


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A program to measure. `command` gives the arguments to Python; with several processes each gets the same."""

    name: str
    title: str
    command: Callable[[Task], Sequence[str]]
    processes: int = 1
    most: int = 0
    """It is so slow that it reads only the first so many records; 0 means all."""
    prepares: bool = False
    """It has read and decoded everything before it begins to write, and only the writing counts."""
    is_ours: bool = False
    """It prints a summary as JSON on the last line of its output."""

    def size(self, records: int) -> int:
        """How many of so many records it reads."""
        return min(records, self.most or records)


def _script(name: str, *more: Callable[[Task], object]) -> Callable[[Task], Sequence[str]]:
    def command(task: Task) -> Sequence[str]:
        given = (task.shape.full_topic, task.group, task.records, *(value(task) for value in more))
        return ["-m", f"benchmarks.contenders.{name}", *map(str, given)]

    return command


def _consume(task: Task) -> Sequence[str]:
    """As a user runs it."""
    name = task.shape.consumer
    how = [THIN[name]] if name in THIN else ["consume", name]
    return ["manage.py", *how, "--group", task.group, "--until-end", "--json"]


def _consume_models(task: Task) -> Sequence[str]:
    return ["manage.py", "consume", "bench_models", "--group", task.group, "--until-end", "--json"]


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender(
            name="limit",
            title="limit: COPY, 1 connection",
            command=_script("limit", lambda task: task.chunk, lambda task: 1),
            prepares=True,
        ),
        Contender(
            name="limit2",
            title="limit: COPY, 2 connections",
            command=_script("limit", lambda task: task.chunk, lambda task: 2),
            prepares=True,
        ),
        Contender(name="hand", title="hand: the strongest short program", command=_script("hand")),
        Contender(
            name="ours",
            title="ours: one process",
            command=_consume,
            is_ours=True,
        ),
        Contender(
            name="ours2",
            title="ours: two processes",
            command=_consume,
            processes=2,
            is_ours=True,
        ),
        Contender(
            name="models",
            title="ours, Model instances by keyword",
            command=_consume_models,
            is_ours=True,
        ),
        Contender(name="bulk", title="bulk: in_bulk + bulk_create", command=_script("bulk"), most=60_000),
        Contender(name="naive", title="naive: record by record", command=_script("naive"), most=1_500),
    )
}
