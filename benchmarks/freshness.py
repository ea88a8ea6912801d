"""How long it takes from sending a record until a reader sees its row, while records come at a steady rate.

A reader on a connection of its own asks for the rows of probe records (about a hundred a second) every 20 ms, so what
it measures includes the commit and is too long by one such pause at most. Asked every 5 ms, the server would spend more
on the answers than on the rows.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any
from uuid import UUID

import msgspec

from benchmarks.commands import CommandFailed, Process
from benchmarks.figures import percentile
from benchmarks.payloads import clicks
from benchmarks.topics import PARTITIONS
from benchmarks.trial import SETTINGS, Bench
from consumers.kafka.producer import RecordProducer
from demo.generate import Clicks, sample_campaigns

EVERY = 0.02
PROBES_PER_SECOND = 100
PATIENCE = 60.0
KEEPS_UP = 1.0
"""A rate is sustained if the last records sent are seen within so many seconds."""
WARM_UP = 0.2
"""The part of the rate of catching up at which the broker is warmed, twice as long as a step takes."""
STEPS = (1.0, 0.85, 0.7, 0.55, 0.4, 0.3, 0.2)
_SEEN = "SELECT event_id FROM ads_click WHERE event_id = ANY(%s)"
_numbers = count(1)


@dataclass(frozen=True)
class Freshness:
    """Latencies in milliseconds at a rate (records per second; `reached` is what the sender really made)."""

    load: float
    rate: int
    reached: float
    p50: float
    p99: float
    most: float
    probes: int
    last: float
    """Of the last tenth of the probes, the median: it grows if the rate is too high."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def sustainable(bench: Bench, catch_up: float, seconds: int) -> int:
    """The highest rate, of steps below the rate of catching up, that the consumer keeps up with.

    It is lower than catching up, since here the sender and the broker's writing share the machine. A step lasts as long
    as a measurement: what falls behind slowly shows late. Nothing is measured before the broker has seen as many small
    requests as its compiler wants: until then it takes twice the processor.

    Raises:
        CommandFailed: not even the lowest step is sustained.
    """
    measure(bench, 1.0, int(catch_up * WARM_UP), 2 * seconds)
    for step in STEPS:
        measured = measure(bench, 1.0, int(catch_up * step), seconds)
        if measured.last < KEEPS_UP * 1000 and measured.reached > 0.95 * measured.rate:
            return measured.rate
    raise CommandFailed(f"the consumer falls behind at {int(catch_up * STEPS[-1])} records/s already")


def measure(bench: Bench, load: float, rate: int, seconds: int) -> Freshness:
    """Send at `rate` for so many seconds to a consumer at work.

    Raises:
        CommandFailed: a process failed, or rows did not appear.
    """
    number = next(_numbers)
    every = max(1, rate // PROBES_PER_SECOND)
    prefix = f"bench.fresh{number}."
    topic, seed = f"{prefix}ads.clicks", 1000 + number
    bench.database.empty()
    with _running(bench, prefix, number) as consumer:
        _wait_until_at_work(bench, topic, consumer)
        sender = _sender(bench, [topic, str(rate), str(seconds), str(seed), str(every)])
        try:
            probes = _probe_ids(seed, rate * seconds, every)
            seen = _watch(bench, probes, rate / every, sender, consumer)
        finally:
            sender.kill()
    return _figures(load, rate, every, json.loads(sender.out.read_text().splitlines()[-1]), seen)


@contextmanager
def _running(bench: Bench, prefix: str, number: int) -> Iterator[Process]:
    arguments = ["manage.py", "consume_clicks", "--group", f"fresh-{number}"]
    with RecordProducer(bench.commands.servers.bootstrap_servers) as producer:
        producer.ensure_topic(f"{prefix}ads.clicks", PARTITIONS)
    environment = {
        "CONSUMERS_TOPIC_PREFIX": prefix,
        "DATABASE_URL": bench.database.url,
        "DJANGO_SETTINGS_MODULE": SETTINGS,
    }
    process = bench.commands.start(arguments, environment)
    try:
        yield process
        process.popen.send_signal(signal.SIGTERM)
        process.end(PATIENCE)
    finally:
        process.kill()


def _wait_until_at_work(bench: Bench, topic: str, consumer: Process) -> None:
    """Send a few records and wait for their rows, so that the group's start is over."""
    values = list(clicks(60, first_seed=999))
    with RecordProducer(bench.commands.servers.bootstrap_servers) as producer:
        for number, value in enumerate(values):
            producer.send(topic, value, partition=number % PARTITIONS)
    deadline = time.monotonic() + PATIENCE
    while bench.database.execute("SELECT count(*) FROM ads_click") != [(len(values),)]:
        if time.monotonic() > deadline or consumer.popen.poll() is not None:
            raise CommandFailed(f"the consumer does not begin:\n{consumer.tail()}")
        time.sleep(0.05)


def _sender(bench: Bench, arguments: Sequence[str]) -> Process:
    """A sender that has made its records and waits for the word."""
    sender = bench.commands.start(["-m", "benchmarks.steady", *arguments], {}, stdin=subprocess.PIPE)
    while not sender.out.read_text():
        if sender.popen.poll() is not None:
            raise CommandFailed(f"the sender ended:\n{sender.tail()}")
        time.sleep(0.05)
    return sender


def _probe_ids(seed: int, records: int, every: int) -> list[UUID]:
    made = Clicks(seed, sample_campaigns())
    return [UUID(msgspec.json.decode(made.valid(number + 1))["event_id"]) for number in range(0, records, every)]


def _watch(bench: Bench, probes: Sequence[UUID], pace: float, sender: Process, consumer: Process) -> list[float]:
    """Give the word, and note when each probe's row is first seen (seconds since the epoch, in the probes' order)."""
    seen: dict[UUID, float] = {}
    stdin = sender.popen.stdin
    if stdin is None:
        raise CommandFailed("the sender cannot be spoken to")
    with bench.database.connect() as connection, stdin:
        stdin.write(b"go\n")
        stdin.flush()
        started = time.time()
        deadline = started + len(probes) / pace + PATIENCE
        while len(seen) < len(probes):
            due = probes[: int((time.time() - started) * pace) + 1]
            asked = [probe for probe in due if probe not in seen]
            found = connection.execute(_SEEN, [asked]).fetchall() if asked else []
            now = time.time()
            seen.update((event_id, now) for (event_id,) in found)
            if now > deadline or consumer.popen.poll() is not None:
                raise CommandFailed(f"{len(probes) - len(seen)} rows did not appear:\n{consumer.tail()}")
            time.sleep(EVERY)
    sender.end(PATIENCE)
    return [seen[probe] for probe in probes]


def _figures(load: float, rate: int, every: int, sent: Sequence[float], seen: Sequence[float]) -> Freshness:
    took = [(after - before) * 1000 for before, after in zip(sent, seen, strict=True)]
    return Freshness(
        load=load,
        rate=rate,
        reached=(len(sent) - 1) * every / (sent[-1] - sent[0]),
        p50=percentile(took, 0.5),
        p99=percentile(took, 0.99),
        most=max(took),
        probes=len(took),
        last=percentile(took[-max(1, len(took) // 10) :], 0.5),
    )
