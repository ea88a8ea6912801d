"""Adaptive against fixed parallelism while loads come and go: rows per second, limit, and what neighbours suffer.

One consumer of many lanes on a PostgreSQL of its own, in a temporary folder. First it adapts, through all loads, which
gives the picture. Then, under each load, the adaptive and the fixed settings take turns of a few seconds, in rounds of
a shuffled order, so that what else the machine does meets all of them alike. One turn tells little: the same setting
differs by a tenth and more from one to the next. Writes docs/pictures/adapt.json and .svg, and the tables in
docs/performance.md. Takes a quarter of an hour. With FOLDER the files go there and the page stays as it is.

Usage: python -m benchmarks.adapt [FOLDER]
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.adapt_loads import CLIENTS, Pgbench, locked, processors_taken
from benchmarks.adapt_picture import draw
from benchmarks.adapt_report import ADAPTIVE, Block, Findings, publish, tables
from benchmarks.commands import CHECKOUT, Commands, Process
from benchmarks.database import Database
from benchmarks.machine import describe
from benchmarks.say import say
from benchmarks.servers import Servers
from devstack.ports import free_port
from devstack.postgres import Postgres

PICTURES = CHECKOUT / "docs" / "pictures"
PARTITIONS = LANES = 16
FIXED = (1, 4, 16)
ROUNDS, LOCK_ROUNDS = 6, 6
WARM_UP, LEARN, BETWEEN, TURN, LOCKED, AFTER = 5.0, 10.0, 2.0, 8.0, 3.0, 6.0
LOCK = (("lock held", LOCKED), ("after the lock", AFTER))
COURSE = (
    ("no load", 10.0),
    ("pgbench", 15.0),
    ("no load", 8.0),
    *LOCK,
    ("processors taken", 15.0),
    ("no load", 10.0),
)
STEADY = ("no load", "pgbench", "processors taken")
# A checkpoint, and whole pages in the log after it, would meet one setting and not the other.
NO_CHECKPOINTS = {"max_wal_size": "32GB", "checkpoint_timeout": "1h"}
PROBE, LOAD = "probe", "load"


@dataclass
class Bench:
    """A consumer at work, and what can be done to it."""

    database: Database
    pgbench: Pgbench
    notes: Path
    blocks: list[Block] = field(default_factory=list)

    def turn(self, part: str, phase: str, setting: str, seconds: float) -> None:
        """Let the consumer work so for a while."""
        self.set(setting)
        started = time.time()
        time.sleep(seconds)
        self.blocks.append(Block(part, phase, setting, started, time.time(), round(os.getloadavg()[0], 1)))

    def set(self, setting: str) -> None:
        wanted = self.notes.with_suffix(".new")
        wanted.write_text(setting.removeprefix("fixed ").replace(ADAPTIVE, ""))
        wanted.replace(self.notes.with_suffix(".limit"))

    def loads(self) -> dict[str, Callable[[], AbstractContextManager[None]]]:
        return {
            "no load": nullcontext,
            "after the lock": nullcontext,
            "lock held": lambda: locked(self.database.url, "ads_click"),
            "pgbench": lambda: self.pgbench.at_work(LOAD, "-c", str(CLIENTS)),
            "processors taken": processors_taken,
        }

    def course(self) -> None:
        """The adaptive setting through everything."""
        self._through(COURSE, "course", ADAPTIVE)

    def comparison(self) -> None:
        """All settings in turn, under each load."""
        for phase in STEADY:
            with self.loads()[phase]():
                self.turn("learning", phase, ADAPTIVE, LEARN)
                for setting in self._in_rounds(ROUNDS):
                    self.turn("comparison", phase, setting, TURN)
        for setting in self._in_rounds(LOCK_ROUNDS):
            self.turn("between", "no load", setting, BETWEEN)
            self._through(LOCK, "comparison", setting)

    def _in_rounds(self, rounds: int) -> Iterator[str]:
        """Each setting once a round. A round begins with an empty table: a longer index is a dearer one."""
        settings = [ADAPTIVE, *(f"fixed {limit}" for limit in FIXED)]
        for _ in range(rounds):
            self.database.execute("TRUNCATE ads_click")
            yield from random.sample(settings, len(settings))

    def _through(self, phases: Iterable[tuple[str, float]], part: str, setting: str) -> None:
        for phase, seconds in phases:
            with self.loads()[phase]():
                self.turn(part, phase, setting, seconds)


@contextmanager
def consuming(folder: Path) -> Iterator[Bench]:
    """A server with its two databases, a consumer and a light pgbench beside it while the block lasts."""
    postgres, port = Postgres(folder, settings=NO_CHECKPOINTS), free_port()
    try:
        postgres.start(port, say)
        postgres.wait_until_ready(postgres.url(port))
        commands = Commands(Servers(folder, postgres.url(port), "127.0.0.1:9", 0, 0), folder)  # no broker takes part
        bench = Bench(
            Database.make(postgres.url(port), commands), Pgbench.make(postgres.url(port), folder), folder / "notes"
        )
        environment = {
            "DATABASE_URL": bench.database.url,
            "DATABASE_POOL_SIZE": str(2 * LANES + 2),
            "CONSUMERS_LANES": str(LANES),
            "CONSUMERS_ADAPTIVE": "on",
            "LOG_LEVEL": "WARNING",
        }
        consumer = commands.start(["-m", "benchmarks.adapt_consumer", str(PARTITIONS), str(bench.notes)], environment)
        try:
            _wait_for(bench.notes, consumer)
            with bench.pgbench.at_work(PROBE, "-c", "1", "-R", "50", "-N"):
                time.sleep(WARM_UP)
                yield bench
            consumer.popen.terminate()
            consumer.end(60)
        finally:
            consumer.kill()
    finally:
        postgres.stop()
        if (folder / "postgres").is_symlink():  # its data live elsewhere, see devstack.account
            shutil.rmtree((folder / "postgres").resolve(), ignore_errors=True)


def _wait_for(notes: Path, consumer: Process) -> None:
    """Wait until the consumer has settled its first records."""
    deadline = time.monotonic() + 60
    while not any(json.loads(line)["settled"] for line in _whole_lines(notes)):
        if consumer.popen.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the consumer did not start:\n{consumer.tail()}")
        time.sleep(0.1)


def _whole_lines(notes: Path) -> list[str]:
    return notes.read_text().split("\n")[:-1] if notes.exists() else []


def main(place: Path) -> None:
    machine = describe()
    folder = Path(tempfile.mkdtemp(prefix="bench-adapt-"))
    folder.chmod(0o755)  # run by root, PostgreSQL is another user
    try:
        with consuming(folder) as bench:
            bench.course()
            bench.comparison()
        notes = [json.loads(line) for line in _whole_lines(bench.notes)]
        found = Findings(bench.blocks, notes, bench.pgbench.latencies(PROBE), bench.pgbench.latencies(LOAD))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    place.mkdir(parents=True, exist_ok=True)
    document = json.dumps({"machine": machine, **found.document()}, indent=1)
    (place / "adapt.json").write_text(document + "\n", encoding="utf-8")
    (place / "adapt.svg").write_text(draw(found), encoding="utf-8")
    text = tables(found.compared())
    say(text)
    if place == PICTURES:
        publish(PICTURES.parent / "performance.md", text)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES)
