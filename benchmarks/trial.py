"""One trial: one contender on one shape, once, timed by the database and watched from outside."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any, NamedTuple

from confluent_kafka.admin import AdminClient

from benchmarks.commands import CommandFailed, Commands, Process
from benchmarks.database import Database
from benchmarks.entrants import Contender, Task
from benchmarks.sampler import Sample, Sampler, peak_rss, usage
from benchmarks.shapes import Hook, Shape
from benchmarks.topics import shares_of_members
from benchmarks.window import TooShort, Window, window
from consumers.kafka.quiet import QuietLogger

MEGABYTE = 1_000_000
LOOK_EVERY = 0.1
SETTINGS = "benchmarks.settings"
_numbers = count(1)


@dataclass
class Trial:
    """What came of it. Times in seconds, CPU in microseconds per record, memory in MB; `error` if it failed."""

    shape: str
    contender: str
    round: int
    records: int
    error: str = ""
    rate: float = 0.0
    seconds: float = 0.0
    rows: int = 0
    consumer_us: float = 0.0
    postgres_us: float = 0.0
    kafka_us: float = 0.0
    elsewhere_cores: float = 0.0
    """Cores that neither the contender nor the servers used: what else was going on."""
    rss_mb: float = 0.0
    rss_growth_mb: float = 0.0
    """The peak of the window's second half less that of its first."""
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds by stage of the pipeline, where the contender reports them."""
    summaries: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Bench:
    """What a trial needs."""

    commands: Commands
    database: Database
    chunk: int
    limit: float
    """Seconds that a trial may take."""


def run(bench: Bench, shape: Shape, contender: Contender, number: int, records: int) -> Trial:
    """Run one trial; a contender that fails is reported, not raised."""
    trial = Trial(shape.name, contender.name, number, contender.size(records))
    group = f"{shape.name}-{contender.name}-{next(_numbers)}"
    task = Task(shape, group, trial.records, bench.chunk)
    try:
        _do(bench, shape.before)
        _measure(bench, task, contender, trial)
    except (CommandFailed, TooShort) as error:
        trial.error = str(error)
    finally:
        _do(bench, shape.after)
    return trial


def _do(bench: Bench, hook: Hook) -> None:
    if callable(hook):
        hook(bench.commands, bench.database)
    elif hook:
        bench.database.execute(hook)


def _measure(bench: Bench, task: Task, contender: Contender, trial: Trial) -> None:
    since = time.time()
    processes = [_start(bench, task, contender) for _ in range(contender.processes)]
    servers = bench.commands.servers
    try:
        pids = [each.popen.pid for each in processes]
        with Sampler(pids, servers.postgres_pid, servers.kafka_pid) as sampler:
            start = _start_of_reading(bench, task.group, processes)
            for process in processes:
                process.end(bench.limit)
    finally:
        for process in processes:
            process.kill()
    commits = bench.database.commits(task.shape.table, since)
    found = window(commits, start.at_work if len(processes) > 1 else 0.0)
    _note(trial, found, sampler.samples, found.started if contender.prepares else start.joining)
    if contender.is_ours:
        _note_summaries(trial, processes)


def _start(bench: Bench, task: Task, contender: Contender) -> Process:
    environment = {
        "CONSUMERS_TOPIC_PREFIX": task.shape.prefix,
        "DATABASE_URL": bench.database.url,
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        **task.shape.environment,
    }
    return bench.commands.start(contender.command(task), environment)


class _Start(NamedTuple):
    """The last look at which some process held no partitions yet, and the first at which all did."""

    joining: float
    at_work: float


def _start_of_reading(bench: Bench, group: str, processes: Sequence[Process]) -> _Start:
    """Wait until each process holds partitions, or one has ended."""
    admin = AdminClient({"bootstrap.servers": bench.commands.servers.bootstrap_servers}, logger=QuietLogger())
    joining = time.time()
    while all(process.popen.poll() is None for process in processes):
        looked = time.time()
        held = shares_of_members(admin, group)
        if len(held) == len(processes) and all(held):
            break
        joining = looked
        time.sleep(LOOK_EVERY)
    return _Start(joining, time.time())


def _note(trial: Trial, found: Window, samples: Sequence[Sample], since: float) -> None:
    """`since`: when the work began whose CPU counts; nothing was read ahead then."""
    spent = usage(samples, since, found.ended)
    records = trial.records if since < found.started else found.records(trial.records)
    middle = (found.started + found.ended) / 2
    trial.rate, trial.seconds, trial.rows = found.rate(trial.records), found.seconds, found.total
    trial.consumer_us = spent.consumer / records * 1e6
    trial.postgres_us = spent.postgres / records * 1e6
    trial.kafka_us = spent.kafka / records * 1e6
    trial.elsewhere_cores = spent.elsewhere / (found.ended - since)
    trial.rss_mb = peak_rss(samples) / MEGABYTE
    halves = peak_rss(samples, middle, found.ended), peak_rss(samples, found.started, middle)
    trial.rss_growth_mb = (halves[0] - halves[1]) / MEGABYTE if all(halves) else 0.0


def _note_summaries(trial: Trial, processes: Sequence[Process]) -> None:
    """Add what our own command says of its run.

    Raises:
        CommandFailed: it did not receive what was sent.
    """
    for process in processes:
        lines = process.out.read_text().splitlines()
        summary: dict[str, Any] = json.loads(lines[-1]) if lines else {}
        trial.summaries.append(summary)
        for stage, seconds in summary.get("stages", {}).items():
            trial.stages[stage] = trial.stages.get(stage, 0.0) + seconds
    received = sum(summary.get("received", 0) for summary in trial.summaries)
    if received != trial.records:
        raise CommandFailed(f"received {received} of {trial.records} records:\n{processes[0].tail()}")
