"""Adaptive against fixed parallelism, while loads come and go: rows per second, limit, and what a neighbour suffers.

On a PostgreSQL of its own in a temporary folder. Each setting runs through the same phases; the settings take turns,
every other round in reverse. Writes docs/pictures/adapt.json and .svg; the tables go to stdout.

Usage: python -m benchmarks.adapt [ROUNDS]
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from benchmarks.adapt_loads import CLIENTS, Pgbench, locked, processors_taken
from benchmarks.adapt_picture import draw
from benchmarks.adapt_report import Phase, Run, tables
from benchmarks.commands import CHECKOUT, Commands, Process
from benchmarks.database import Database
from benchmarks.machine import describe
from benchmarks.say import say
from benchmarks.servers import Servers
from devstack.ports import free_port
from devstack.postgres import Postgres

PARTITIONS = LANES = 16
WARM_UP = 5.0
SETTINGS = {
    "adaptive": {"CONSUMERS_ADAPTIVE": "on", "CONSUMERS_LANES": str(LANES)},
    **{f"fixed {n}": {"CONSUMERS_ADAPTIVE": "off", "CONSUMERS_LANES": str(n)} for n in (1, 4, 16)},
}
PLACE = CHECKOUT / "docs" / "pictures"


@dataclass(frozen=True)
class Bench:
    """Where everything is."""

    database: Database
    pgbench: Pgbench
    commands: Commands
    folder: Path

    def phases(self, name: str) -> list[tuple[str, float, Callable[[], AbstractContextManager[None]]]]:
        """Name, seconds and load of each phase of a run."""
        return [
            ("quiet", 8, nullcontext),
            ("pgbench", 12, lambda: self.pgbench.at_work(f"{name}-load", "-c", str(CLIENTS))),
            ("quiet again", 5, nullcontext),
            ("lock held", 5, lambda: locked(self.database.url, "ads_click")),
            ("after the lock", 6, nullcontext),
            ("processors taken", 12, processors_taken),
        ]


@contextmanager
def bench() -> Iterator[Bench]:
    """A server with the two databases while the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="bench-adapt-"))
    folder.chmod(0o755)  # run by root, PostgreSQL is another user
    postgres, port = Postgres(folder), free_port()
    try:
        postgres.start(port, say)
        postgres.wait_until_ready(postgres.url(port))
        servers = Servers(folder, postgres.url(port), "127.0.0.1:9", 0, 0)  # no broker takes part
        commands = Commands(servers, folder)
        yield Bench(
            Database.make(servers.database_url, commands), Pgbench.make(servers.database_url, folder), commands, folder
        )
    finally:
        postgres.stop()
        if (folder / "postgres").is_symlink():  # its data live elsewhere, see devstack.account
            shutil.rmtree((folder / "postgres").resolve(), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def run(bench: Bench, setting: str, number: int) -> Run:
    """One setting, through all phases."""
    name = f"{setting.replace(' ', '')}-{number}"
    notes = bench.folder / f"{name}.jsonl"
    environment = {"DATABASE_URL": bench.database.url, "DATABASE_POOL_SIZE": "34", "LOG_LEVEL": "WARNING"}
    bench.database.empty()
    arguments = ["-m", "benchmarks.adapt_consumer", str(PARTITIONS), str(notes)]
    consumer = bench.commands.start(arguments, {**environment, **SETTINGS[setting]})
    phases: list[Phase] = []
    try:
        _wait_for(notes, consumer)
        with bench.pgbench.at_work(f"{name}-probe", "-c", "1", "-R", "50", "-N"):
            time.sleep(WARM_UP)
            for title, seconds, load in bench.phases(name):
                with load():
                    started = time.time()
                    time.sleep(seconds)
                    phases.append(Phase(title, started, time.time(), round(os.getloadavg()[0], 1)))
        consumer.popen.terminate()
        consumer.end(60)
    finally:
        consumer.kill()
    lines = [json.loads(line) for line in _whole_lines(notes)]
    return Run(
        setting, phases, lines, bench.pgbench.latencies(f"{name}-probe"), bench.pgbench.latencies(f"{name}-load")
    )


def _wait_for(notes: Path, consumer: Process) -> None:
    """Wait until the consumer has settled its first records."""
    deadline = time.monotonic() + 60
    while not any(json.loads(line)["settled"] for line in _whole_lines(notes)):
        if consumer.popen.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the consumer did not start:\n{consumer.tail()}")
        time.sleep(0.1)


def _whole_lines(notes: Path) -> list[str]:
    return notes.read_text().split("\n")[:-1] if notes.exists() else []


def main(rounds: int) -> None:
    runs: list[Run] = []
    machine = describe()
    with bench() as where:
        for number in range(rounds):
            for setting in list(SETTINGS)[:: -1 if number % 2 else 1]:
                runs.append(run(where, setting, number))
                say(f"  round {number + 1}, {setting}: {runs[-1].brief()}")
    PLACE.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine, "runs": [each.document() for each in runs]}
    (PLACE / "adapt.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (PLACE / "adapt.svg").write_text(draw(runs), encoding="utf-8")
    say(tables(runs))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
