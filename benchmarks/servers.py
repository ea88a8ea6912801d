"""A PostgreSQL and a Kafka of the benchmark's own, in a temporary folder: nobody's data are touched."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psutil
import psycopg

from benchmarks.say import say
from devstack.kafka import Kafka
from devstack.ports import free_port
from devstack.postgres import Postgres

# Members that start together are assigned together: else the first of two would read the topic half alone.
_BROKER_SETTINGS = "group.initial.rebalance.delay.ms=1500\n"
_BUFFERS = {"shared_buffers": f"{psutil.virtual_memory().total // 4 // 2**20}MB"}


@dataclass(frozen=True)
class BenchKafka(Kafka):
    """The local stack's broker, at its full speed and waiting a moment for all members of a new group."""

    tuning: ClassVar[Sequence[str]] = ()

    def _write_settings(self, port: int) -> None:
        super()._write_settings(port)
        with self._settings.open("a", encoding="utf-8") as settings:
            settings.write(_BROKER_SETTINGS)


@dataclass(frozen=True)
class Servers:
    """Where the two servers are, and their process ids (PostgreSQL's is the postmaster's)."""

    folder: Path
    database_url: str
    bootstrap_servers: str
    postgres_pid: int
    kafka_pid: int


@contextmanager
def running_servers(settings: Mapping[str, str]) -> Iterator[Servers]:
    """The servers while the block lasts; their data are deleted after it. `settings` are PostgreSQL's, in place of the
    local stack's; unless told otherwise its buffers are a quarter of the memory, as its manual advises (19.4.1).

    Raises:
        devstack.errors.DevstackError: a server does not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="bench-stack-"))
    folder.chmod(0o755)  # run by root, PostgreSQL is another user
    postgres, kafka = Postgres(folder, settings={**_BUFFERS, **settings}), BenchKafka(folder)
    try:
        postgres_port, kafka_port = free_port(), free_port()
        _start_postgres(postgres, postgres_port)
        kafka.start(kafka_port, say)
        kafka.wait_until_ready(kafka.url(kafka_port))
        yield Servers(
            folder=folder,
            database_url=postgres.url(postgres_port),
            bootstrap_servers=kafka.url(kafka_port),
            postgres_pid=_pid_of(postgres),
            kafka_pid=_pid_of(kafka),
        )
    finally:
        kafka.stop()
        postgres.stop()
        if (folder / "postgres").is_symlink():  # its data live elsewhere, see devstack.account
            shutil.rmtree((folder / "postgres").resolve(), ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def _start_postgres(postgres: Postgres, port: int) -> None:
    """With the commit time of every transaction kept, which is what all contenders are timed by."""
    postgres.start(port, say)
    postgres.wait_until_ready(postgres.url(port))
    with psycopg.connect(postgres.url(port), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
    postgres.stop()
    postgres.start(port, say)
    postgres.wait_until_ready(postgres.url(port))


def _pid_of(server: Postgres | Kafka) -> int:
    found = server.process()
    if found is None:
        raise RuntimeError(f"{server.title} has ended; its log: {server.log}")
    return int(found.pid)
