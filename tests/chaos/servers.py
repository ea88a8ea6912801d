"""The suite's own PostgreSQL and Kafka, with a proxy before each, and the means to hurt them."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from devstack.addresses import Addresses
from devstack.kafka import Kafka
from devstack.ports import HOST, free_port
from devstack.postgres import Postgres
from devstack.process import is_gone, wait_for
from tests.chaos.proxy import Proxy
from tests.e2e.conftest import template_database

ROLE = "chaos_app"
PASSWORD = "chaos"
SESSION_SECONDS = 3
POISON = "poison"
"""A text that the tables refuse in these runs, so that isolation has work."""

# chaos_move is a witness that the engine does not know: every chunk's move of the ledger, in the chunk's transaction.
_PREPARE = f"""
    ALTER TABLE ads_click ADD CONSTRAINT chaos_click CHECK (url NOT LIKE '%{POISON}%');
    ALTER TABLE payments_payment ADD CONSTRAINT chaos_payment CHECK (reference NOT LIKE '%{POISON}%');
    CREATE TABLE chaos_disk (is_full bool NOT NULL);
    INSERT INTO chaos_disk VALUES (false);
    CREATE FUNCTION chaos_write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (SELECT is_full FROM chaos_disk) THEN
            RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER chaos BEFORE INSERT ON ads_click FOR EACH STATEMENT EXECUTE FUNCTION chaos_write();
    CREATE TRIGGER chaos BEFORE INSERT ON payments_payment FOR EACH STATEMENT EXECUTE FUNCTION chaos_write();
    CREATE TABLE chaos_move (
        id bigserial, at timestamptz DEFAULT clock_timestamp(), topic text, partition int, epoch bigint, origin bigint,
        target bigint
    );
    CREATE FUNCTION chaos_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO chaos_move (topic, partition, epoch, origin, target)
        VALUES (NEW.topic, NEW.partition, NEW.epoch, OLD.next_offset, NEW.next_offset);
        RETURN NULL;
    END $$;
    CREATE TRIGGER chaos AFTER UPDATE ON consumers_partitionledger FOR EACH ROW
        WHEN (OLD.epoch = NEW.epoch) EXECUTE FUNCTION chaos_move();
    GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE};
    GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {ROLE};
"""

# Dead members and a dead broker are noticed in seconds, in both group protocols: more faults in an hour.
_BROKER_SETTINGS = f"""
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms={SESSION_SECONDS}000
group.consumer.min.heartbeat.interval.ms=500
group.consumer.heartbeat.interval.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""

_BROKER_LOGGING = """
logger.groups.name = org.apache.kafka.coordinator.group
logger.groups.level = INFO
"""


@dataclass(frozen=True)
class ProxiedKafka(Kafka):
    """A broker with one more listener, which clients are told to reach through the proxy."""

    inner: int = 0
    proxied: int = 0

    def _write_settings(self, port: int) -> None:
        super()._write_settings(port)
        plain = f"PLAINTEXT://{HOST}:{port}"
        text = self._settings.read_text(encoding="utf-8")
        text = text.replace(f"listeners={plain},", f"listeners={plain},PROXIED://{HOST}:{self.inner},")
        text = text.replace(f"advertised.listeners={plain}\n", f"advertised.listeners={plain},{self._outside}\n")
        self._settings.write_text(text + _BROKER_SETTINGS, encoding="utf-8")
        with (self.home / "log4j2.properties").open("a", encoding="utf-8") as logging:
            logging.write(_BROKER_LOGGING)

    @property
    def _outside(self) -> str:
        return f"PROXIED://{HOST}:{self.proxied}"


class Servers:
    """One PostgreSQL and one Kafka in a folder of their own. `direct` goes around the proxies."""

    def __init__(self, folder: Path) -> None:
        ports = _distinct_ports(5)
        self._postgres_port, self._kafka_port = ports[:2]
        self.folder = folder
        self.postgres = Postgres(folder)
        self.kafka = ProxiedKafka(folder, inner=ports[2], proxied=ports[3])
        self.database_proxy = Proxy(ports[4], self._postgres_port)
        self.broker_proxy = Proxy(ports[3], ports[2])
        self.template = ""
        self.at_postgres, self.at_kafka, self.at_commit = threading.Lock(), threading.Lock(), threading.Lock()

    @cached_property
    def direct(self) -> Addresses:
        return Addresses(self.postgres.url(self._postgres_port), self.kafka.url(self._kafka_port))

    @property
    def bootstrap_servers(self) -> str:
        """Of the broker, through the proxy."""
        return f"{HOST}:{self.broker_proxy.port}"

    def database_url(self, name: str) -> str:
        """For the consumers' role, through the proxy."""
        return f"postgres://{ROLE}:{PASSWORD}@{HOST}:{self.database_proxy.port}/{name}"

    # ---- up and down ------------------------------------------------------------------------------------------------

    def start_postgres(self) -> None:
        if self.postgres.process() is None:
            self.postgres.start(self._postgres_port, _quiet)
        self.postgres.wait_until_ready(self.direct.database_url)

    def start_kafka(self) -> None:
        if self.kafka.process() is None:
            self.kafka.start(self._kafka_port, _quiet)
        self.kafka.wait_until_ready(self.direct.bootstrap_servers)

    def end_postgres(self, number: int) -> None:
        """SIGINT stops it fast, SIGQUIT immediately, as a crash would."""
        self._end(self.postgres, number)

    def end_kafka(self, number: int = signal.SIGKILL) -> None:
        self._end(self.kafka, number)

    @staticmethod
    def _end(server: Postgres | Kafka, number: int) -> None:
        found = server.process()
        if found is not None:
            found.send_signal(number)
            if not wait_for(lambda: is_gone(found), seconds=30):
                found.kill()
                wait_for(lambda: is_gone(found), seconds=10)

    # ---- by the superuser, around the proxy -------------------------------------------------------------------------

    def execute(self, statement: str, *values: Any, database: str = "") -> list[tuple[Any, ...]]:
        url = self.direct.database_url.rsplit("/", 1)[0] + f"/{database or 'postgres'}"
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            connection.execute("SET lock_timeout = '20s'")
            cursor = connection.execute(sql.SQL(statement), values or None)
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        for proxy in (self.database_proxy, self.broker_proxy):
            proxy.close()
        self.postgres.stop()
        self.end_kafka(signal.SIGTERM)


@contextmanager
def running_servers() -> Iterator[Servers]:
    """Servers with a template database: the project's tables, the sample's campaigns, and the suite's traps."""
    for name in ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS"):
        os.environ.pop(name, None)
    folder = Path(tempfile.mkdtemp(prefix="chaos-stack-"))
    folder.chmod(0o755)  # PostgreSQL may run as another user
    servers = Servers(folder)
    try:
        servers.start_postgres()
        servers.start_kafka()
        servers.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
        with template_database(servers.direct) as servers.template:
            servers.execute(_PREPARE, database=servers.template)
            yield servers
            servers.start_postgres()
    finally:
        servers.close()
        shutil.rmtree(folder, ignore_errors=True)


def _distinct_ports(count: int) -> list[int]:
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return list(ports)


def _quiet(line: str) -> None:
    """What the stack reports at each start is not news here."""
