"""Runs management commands as processes against real servers, each test in a database and on topics of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psycopg
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient
from psycopg import sql

from consumers.kafka.producer import RecordProducer
from consumers.kafka.quiet import QuietLogger
from demo.keys import key_of
from demo.samples import KEYS
from devstack.addresses import Addresses

CHECKOUT = Path(__file__).resolve().parents[2]
COUNTS = ("received", "written", "duplicates", "skipped", "failed")
PATIENCE = 60.0
# What a developer's own shell or .env may hold; empty rather than absent, so that a .env does not fill it in.
OWN = {
    "KAFKA_PROPERTIES": "{}",
    "KAFKA_GROUP_PROTOCOL": "classic",
    "CONSUMERS_LANES": "2",
    "CONSUMERS_FLOOD_GUARD": "on",
    "DATABASE_POOL_SIZE": "10",
    "LOG_LEVEL": "INFO",
    "LOG_FORMAT": "line",
    "CONSUMERS_METRICS_PORT": "0",
    "PYTHONUNBUFFERED": "1",  # what a server says in its file is there when it says it
}


def wait_until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """The condition's value as soon as it is true; fails with `what` if that takes too long."""
    deadline, pause = time.monotonic() + seconds, 0.02
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(pause)
        pause = min(1.2 * pause, 0.1)  # to look is dear: what is waited for needs the same processors
    return value


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The summary on the last line of stdout."""
        assert self.out, self.err
        summary: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return summary

    @property
    def counts(self) -> tuple[int, ...]:
        """The summary's counts, in the order of COUNTS."""
        return tuple(self.json[name] for name in COUNTS)

    def ok(self) -> Done:
        assert self.code == 0, f"exit code {self.code}:\n{self.err}"
        return self


class Running:
    """A management command at work. What it prints goes to files, so that it never waits for a reader."""

    def __init__(self, arguments: Sequence[str], environment: dict[str, str], folder: Path) -> None:
        self._out, self._err = (folder / f"{uuid.uuid4().hex}.{name}" for name in ("out", "err"))
        command = [sys.executable, "manage.py", *arguments]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=out, stderr=err)

    @property
    def log(self) -> str:
        return self._err.read_text()

    @property
    def said(self) -> str:
        return self._out.read_text()

    def says(self, text: str, times: int = 1) -> None:
        """Wait until its log holds the text."""
        wait_until(lambda: self.log.count(text) >= times or self.process.poll() is not None, f"{text!r}:\n{self.log}")
        assert self.log.count(text) >= times, self.log

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, seconds: float = PATIENCE) -> Done:
        """Wait until it has ended."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end within {seconds:.0f} s:\n{self.log}") from None
        return Done(code, self._out.read_text(), self.log)

    def drain(self) -> Done:
        """Ask it to stop, and wait."""
        self.send(signal.SIGTERM)
        return self.end()

    def kill(self) -> None:
        """kill -9; also of a stopped process, and of one that has ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@dataclass
class Site:
    """One installation: a database, topics under a prefix, a consumer group, and the processes started in it."""

    servers: Addresses
    database: str
    folder: Path
    prefix: str
    running: list[Running] = field(default_factory=list)
    _connection: psycopg.Connection | None = None

    # ---- commands ---------------------------------------------------------------------------------------------------

    @property
    def database_url(self) -> str:
        return urlsplit(self.servers.database_url)._replace(path=f"/{self.database}").geturl()

    @property
    def group(self) -> str:
        return f"{self.prefix}group"

    def start(self, *arguments: str, **environment: str) -> Running:
        """Start a management command; `environment` goes before the site's own."""
        started = Running(arguments, self.environment | environment, self.folder)
        self.running.append(started)
        return started

    @property
    def environment(self) -> dict[str, str]:
        """What commands of this site are started with."""
        own = {
            "DATABASE_URL": self.database_url,
            "KAFKA_BOOTSTRAP_SERVERS": self.servers.bootstrap_servers,
            "CONSUMERS_TOPIC_PREFIX": self.prefix,
        }
        return os.environ | OWN | own

    def run(self, *arguments: str, **environment: str) -> Done:
        return self.start(*arguments, **environment).end()

    def consumer(self, name: str, *arguments: str, **environment: str) -> Running:
        """Start a consumer in the site's group."""
        return self.start("consume", name, "--group", self.group, "--json", *arguments, **environment)

    def consume(self, name: str, *arguments: str, **environment: str) -> Done:
        """Run a consumer to the end of its topic."""
        return self.consumer(name, "--until-end", *arguments, **environment).end()

    # ---- the broker -------------------------------------------------------------------------------------------------

    def send(self, topic: str, values: Iterable[bytes], key: bytes | None = None) -> None:
        """Send records under the keys that `produce_events` would give them, or all under one."""
        with RecordProducer(self.servers.bootstrap_servers) as producer:
            producer.ensure_topic(self.prefix + topic)
            for value in values:
                producer.send(self.prefix + topic, value, key=key or key_of(value, KEYS[topic]))

    def committed(self) -> dict[int, int]:
        """By partition, what the group has committed on the broker."""
        admin = self._admin()
        asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(self.group)])
        found = asked[self.group].result(PATIENCE).topic_partitions
        return {each.partition: each.offset for each in found if each.offset >= 0}

    def members(self) -> dict[str, int]:
        """Member ids of the group, and how many partitions each holds."""
        admin = self._admin()
        described = admin.describe_consumer_groups([self.group])[self.group].result(PATIENCE)
        return {each.member_id: len(each.assignment.topic_partitions) for each in described.members}

    def forget_topics(self) -> None:
        admin = self._admin()
        own = [name for name in admin.list_topics(timeout=PATIENCE).topics if name.startswith(self.prefix)]
        if own:
            for deleted in admin.delete_topics(own).values():
                deleted.result(PATIENCE)

    def _admin(self) -> AdminClient:
        """A new one, since an old one is slow to find a broker again; kept by the caller until its answer is there."""
        return AdminClient({"bootstrap.servers": self.servers.bootstrap_servers}, logger=QuietLogger())

    # ---- the database -----------------------------------------------------------------------------------------------

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        cursor = self._connected().execute(sql.SQL(statement), values)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []

    def _connected(self) -> psycopg.Connection:
        """One connection for all questions; a new one after the server was away."""
        if self._connection is not None:
            with suppress(psycopg.OperationalError):
                self._connection.execute("SELECT 1")
            if self._connection.closed:
                self._connection = None
        if self._connection is None:
            self._connection = psycopg.connect(self.database_url, autocommit=True)
        return self._connection

    def close(self) -> None:
        """End what was started, and the connection."""
        for each in self.running:
            each.kill()
        self.disconnect()

    def disconnect(self) -> None:
        """End the connection; the next question makes another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def one(self, statement: str, *values: Any) -> Any:
        return self.query(statement, *values)[0][0]

    @contextmanager
    def locked(self, table: str) -> Any:
        """While the block lasts, whoever reads or writes the table waits."""
        with psycopg.connect(self.database_url) as connection:
            connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(table)))
            yield

    def is_waiting_for(self, table: str) -> int:
        """How many sessions wait for a lock of the table."""
        waiting: int = self.one("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = %s::regclass", table)
        return waiting

    def ledger(self, group: str = "") -> tuple[int, ...]:
        """The sums of the group's counts, in the order of COUNTS."""
        sums = ", ".join(f"coalesce(sum({name}), 0)::int" for name in COUNTS)
        statement = f'SELECT {sums} FROM consumers_partitionledger WHERE "group" = %s'
        [row] = self.query(statement, group or self.group)
        return row

    def positions(self) -> dict[int, int]:
        """By partition, the ledger's next offset."""
        rows = self.query('SELECT partition, next_offset FROM consumers_partitionledger WHERE "group" = %s', self.group)
        return dict(rows)

    def settled(self, records: int, seconds: float = PATIENCE) -> None:
        """Wait until the ledger has received so many."""
        wait_until(lambda: self.ledger()[0] >= records, f"{records} settled records in {self.group}", seconds)

    def failures(self, status: str = "pending") -> dict[str, int]:
        """Failed records of a status, by reason."""
        counted = "SELECT reason, count(*) FROM consumers_failedrecord WHERE status = %s GROUP BY reason"
        return dict(self.query(counted, status))
