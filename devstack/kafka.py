"""The Kafka broker of the local stack: one KRaft node on loopback."""

import base64
import logging
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psutil
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from devstack import addresses, ports, process
from devstack.download import Report, cache_folder, kafka_jars
from devstack.errors import DevstackError
from devstack.java import java

START_SECONDS = 60
STOP_SECONDS = 30
LOG_LIMIT = 10_000_000

# A record of 25 MB must pass, with room for its batch's header; everything that copies it must let it pass too.
LARGEST_MESSAGE = 32 * 1024 * 1024

SETTINGS = """\
# Written by `manage.py devstack up` at each start.
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers={host}:{controller_port}
log.dirs={data}
num.partitions=6
auto.create.topics.enable=true
# one node: nothing to replicate to
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# fewer than the 50 each that a cluster wants: a quicker first start
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=8
group.initial.rebalance.delay.ms=0
message.max.bytes={largest}
replica.fetch.max.bytes={largest}
fetch.max.bytes={fetch}
socket.request.max.bytes={request}
"""

LOGGING = """\
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c{1} %m%n
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
"""


@dataclass(frozen=True)
class Kafka:
    """Apache Kafka with its data under `state_dir`/kafka."""

    state_dir: Path

    name = addresses.KAFKA
    title = "Kafka"
    port_variable = "DEVSTACK_KAFKA_PORT"
    url_variable = "KAFKA_BOOTSTRAP_SERVERS"
    tuning: ClassVar[Sequence[str]] = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
    """Options of the Java machine: these start it in two thirds of the time, for half of the processor's, but make a
    broker slower that has much to do."""

    @property
    def home(self) -> Path:
        return (self.state_dir / "kafka").resolve()

    @property
    def log(self) -> Path:
        return self.home / "kafka.log"

    @property
    def _settings(self) -> Path:
        return self.home / "server.properties"

    @property
    def _formatted(self) -> Path:
        return self.home / "formatted"

    def process(self) -> psutil.Process | None:
        """The running broker of this state folder, or None."""
        settings = str(self._settings)
        return process.find(lambda arguments: arguments[-2:] == ["kafka.Kafka", settings])

    def has_data(self) -> bool:
        """False before the first start, after an interrupted one, and when the folder was deleted."""
        return self._formatted.exists()

    def url(self, port: int) -> str:
        return f"{ports.HOST}:{port}"

    def start(self, port: int, report: Report) -> None:
        """Starts the broker on `port`; it may take some seconds yet to answer (see `wait_until_ready`)."""
        program, jars = java(), kafka_jars(cache_folder(self.state_dir), report)
        self.home.mkdir(parents=True, exist_ok=True)
        self._write_settings(port)
        base = [str(program), *self.tuning, *self._options(jars)]
        if not self.has_data():
            self._format(base)
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        command = [*base, "-Xms256m", "-Xmx512m", "kafka.Kafka", str(self._settings)]
        process.start_detached(command, log=self.log, folder=self.home)

    def _options(self, jars: Path) -> list[str]:
        logging_file = (self.home / "log4j2.properties").as_uri()
        return ["-cp", str(jars / "*"), f"-Dlog4j2.configurationFile={logging_file}", "-Djava.awt.headless=true"]

    def _write_settings(self, port: int) -> None:
        text = SETTINGS.format(
            host=ports.HOST,
            port=port,
            controller_port=self._controller_port(port),
            data=(self.home / "data").as_posix(),
            largest=LARGEST_MESSAGE,
            fetch=2 * LARGEST_MESSAGE,
            request=4 * LARGEST_MESSAGE,
        )
        self._settings.write_text(text, encoding="utf-8")
        (self.home / "log4j2.properties").write_text(LOGGING, encoding="utf-8")

    def _controller_port(self, port: int) -> int:
        """Chosen anew at each start: only the broker itself talks to its controller."""
        found = ports.free_port()
        return found if found != port else self._controller_port(port)

    def _format(self, base: list[str]) -> None:
        """Makes the data folder; the mark comes last, so a half-made folder is made again."""
        shutil.rmtree(self.home / "data", ignore_errors=True)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")
        command = [*base, "kafka.tools.StorageTool", "format", "--standalone", f"--cluster-id={cluster}"]
        done = subprocess.run(  # noqa: S603 - our own command, no shell
            [*command, "-c", str(self._settings)], capture_output=True, text=True, cwd=self.home, check=False
        )
        if done.returncode:
            self.log.write_text(done.stdout + done.stderr, encoding="utf-8")
            raise DevstackError(f"Kafka: its data folder could not be made. {process.tail(self.log)}")
        self._formatted.touch()

    def wait_until_ready(self, url: str) -> None:
        """Returns once the broker answers a client; DevstackError with the end of its log if it does not."""
        quiet = logging.Logger("devstack.kafka", level=logging.CRITICAL)  # refusals are expected until it is up
        client = AdminClient({"bootstrap.servers": url, "reconnect.backoff.max.ms": 200}, logger=quiet)
        if not process.wait_for(lambda: self._answers(client), seconds=START_SECONDS):
            raise DevstackError(f"Kafka does not answer on {url} after {START_SECONDS} s. {process.tail(self.log)}")

    def _answers(self, client: AdminClient) -> bool:
        if self.process() is None:
            raise DevstackError(f"Kafka has stopped by itself. {process.tail(self.log)}")
        try:
            return bool(client.list_topics(timeout=1).brokers)
        except KafkaException:
            return False

    def stop(self) -> None:
        if found := self.process():
            process.end(found, seconds=STOP_SECONDS)
