"""A whole run: servers, topics, rounds in which all contenders alternate, freshness; the results as one document."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import fill, freshness, machine, topics, trial
from benchmarks.commands import CommandFailed, Commands
from benchmarks.database import Database
from benchmarks.entrants import Contender
from benchmarks.options import Plan
from benchmarks.say import say
from benchmarks.servers import running_servers
from benchmarks.shapes import Shape
from benchmarks.trial import Bench, Trial
from consumers.core.policies import BatchPolicy

Pair = tuple[Shape, Contender]


def run(plan: Plan) -> dict[str, Any]:
    """Measure what the plan says; a contender that fails is noted in `errors`, and the rest goes on.

    Raises:
        devstack.errors.DevstackError, CommandFailed: the servers or the database could not be made.
    """
    started, described = datetime.now(UTC), machine.describe()
    with _bench(plan) as bench:
        _fill_topics(bench, plan)
        trials = _rounds(bench, plan)
        settings = bench.database.settings()
        fresh, errors = _freshness(bench, plan, trials) if plan.loads else ({}, [])
        trials += _filled(bench, plan)
    failed = [f"{each.contender} on {each.shape}: {each.error}" for each in trials if each.error]
    return {
        "started": started.isoformat(timespec="seconds"),
        "minutes": round((datetime.now(UTC) - started).total_seconds() / 60, 1),
        "records": plan.records,
        "rounds": plan.rounds,
        "chunk": bench.chunk,
        "machine": described,
        "postgres": settings,
        "shapes": {shape.name: {"title": shape.title, "records": shape.size(plan.records)} for shape, _ in plan.pairs},
        "contenders": {contender.name: contender.title for _, contender in plan.pairs},
        "trials": [each.as_dict() for each in trials],
        "freshness": fresh,
        "errors": [*failed, *errors, *disagreements(trials)],
    }


def disagreements(trials: Sequence[Trial]) -> list[str]:
    """Whoever read the same records must have written as many rows as the others did; what is said of those that did
    not."""
    found: dict[tuple[str, int], dict[int, str]] = {}
    for each in trials:
        if not each.error:
            found.setdefault((each.shape, each.records), {}).setdefault(each.rows, each.contender)
    return [
        f"{shape}: not the same rows of {records:,} records: "
        + ", ".join(f"{who} wrote {rows:,}" for rows, who in wrote.items())
        for (shape, records), wrote in found.items()
        if len(wrote) > 1
    ]


@contextmanager
def _bench(plan: Plan) -> Iterator[Bench]:
    with running_servers(plan.settings) as servers, tempfile.TemporaryDirectory(prefix="bench-logs-") as logs:
        commands = Commands(servers, Path(logs))
        database = Database.make(servers.database_url, commands)
        yield Bench(commands, database, BatchPolicy().chunk_records, plan.trial_seconds)


def _fill_topics(bench: Bench, plan: Plan) -> None:
    say("Filling the topics")
    for shape in {shape.name: shape for shape, _ in plan.pairs}.values():
        topics.fill(bench.commands.servers.bootstrap_servers, shape, shape.size(plan.records), bench.chunk)


def _rounds(bench: Bench, plan: Plan) -> list[Trial]:
    """Every pair once in each round, every other round backwards, so that nobody always follows the same one."""
    trials = []
    for number in range(1, plan.rounds + 1):
        say(f"Round {number} of {plan.rounds}")
        pairs = [pair for pair in plan.pairs if not pair[0].filled and number <= (pair[0].rounds or plan.rounds)]
        for shape, contender in pairs if number % 2 else reversed(pairs):
            bench.database.empty()
            trials.append(_trial(bench, plan, (shape, contender), number))
    return trials


def _filled(bench: Bench, plan: Plan) -> list[Trial]:
    """The shapes that need a full table, one after the other: it is filled once, and brought back to its rows after
    each trial."""
    trials = []
    full = list({shape.name: shape for shape, _ in plan.pairs if shape.filled}.values())
    if full:
        say("With a full table")
        bench.database.empty()
        fill.fill(bench.database, full[0].filled)
    for shape in full:
        pairs = [pair for pair in plan.pairs if pair[0] is shape]
        for number in range(1, shape.rounds + 1):
            for pair in pairs if number % 2 else reversed(pairs):
                since = time.time()
                trials.append(_trial(bench, plan, pair, number))
                fill.remove_new(bench.database, since)
    return trials


def _trial(bench: Bench, plan: Plan, pair: Pair, number: int) -> Trial:
    shape, contender = pair
    done = trial.run(bench, shape, contender, number, shape.size(plan.records))
    if done.error:
        say(f"  {shape.name:<9} {contender.name:<7} FAILED: {done.error}")
    else:
        say(
            f"  {shape.name:<9} {contender.name:<7} {done.rate:>9,.0f} records/s in {done.seconds:>5.1f} s,"
            f" {done.consumer_us:>6.1f} us of its CPU and {done.postgres_us:>6.1f} us of PostgreSQL's per record,"
            f" {done.rss_mb:>4.0f} MB"
        )
    return done


def _freshness(bench: Bench, plan: Plan, trials: Sequence[Trial]) -> tuple[dict[str, Any], list[str]]:
    """The latencies under each load, and what went wrong."""
    rates = [each.rate for each in trials if (each.shape, each.contender) == ("clean", "ours") and each.rate]
    if not rates:
        return {}, ["freshness: no rate of `ours` on clean clicks to take parts of"]
    say("Freshness")
    found: list[dict[str, Any]] = []
    sustainable = 0
    try:
        sustainable = freshness.sustainable(bench, median(rates), plan.load_seconds)
        say(f"  sustainable with the sender on the same machine: {sustainable:,} records/s")
        for load in plan.loads:
            measured = freshness.measure(bench, load, max(1, int(sustainable * load)), plan.load_seconds)
            found.append(measured.as_dict())
            say(
                f"  {load:.0%} of that ({measured.rate:,}/s): p50 {measured.p50:.0f} ms, p99 {measured.p99:.0f} ms"
                f" of {measured.probes} probes"
            )
    except CommandFailed as error:
        say(f"  FAILED: {error}")
        return {"sustainable": sustainable, "loads": found}, [f"freshness: {error}"]
    return {"sustainable": sustainable, "loads": found}, []
