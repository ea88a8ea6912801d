"""Sending records: for the samples, for tests, and for whoever wants to put an event back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from consumers.core.errors import Misconfigured, TransientError
from consumers.core.records import Headers
from consumers.kafka.config import only_for_producers
from consumers.kafka.errors import translate
from consumers.kafka.quiet import QuietLogger

_TIMEOUT = 10.0


class RecordProducer:
    """A context manager that sends records and, at its end, makes sure that all have arrived.

    Not for greenlets: its calls block the thread.

    Raises:
        TransientError: at the end of the context or in `flush`, if the broker did not take a record.
    """

    def __init__(self, bootstrap_servers: str, properties: Mapping[str, Any] | None = None) -> None:
        given = {"bootstrap.servers": bootstrap_servers, **only_for_producers(properties or {})}
        defaults = {
            "enable.idempotence": True,
            "linger.ms": 20,
            "message.max.bytes": 32 * 1024 * 1024,
            "queue.buffering.max.kbytes": 128 * 1024,
            "message.timeout.ms": 60_000,
            "enable.metrics.push": False,
        }
        self._servers = bootstrap_servers
        self._failed: str | None = None
        try:
            self._producer = Producer({**defaults, **given}, logger=QuietLogger())
            self._admin = AdminClient(given, logger=QuietLogger())
        except KafkaException as error:
            raise Misconfigured(f"the broker client refuses its properties: {error.args[0].str()}") from error

    def ensure_topic(self, topic: str, partitions: int = 6, config: Mapping[str, str] | None = None) -> bool:
        """Create a topic unless it exists; returns whether it was created.

        Raises:
            TransientError: the broker is out of reach.
        """
        try:
            known = self._admin.list_topics(timeout=_TIMEOUT).topics
            if topic in known:
                return False
            created = self._admin.create_topics([NewTopic(topic, partitions, config=dict(config or {}))])
            created[topic].result(_TIMEOUT)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return False
            raise translate(error.args[0], f"broker {self._servers}") from error
        return True

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        timestamp: int | None = None,
        partition: int | None = None,
    ) -> None:
        """Queue a record; waits while the queue is full. `timestamp` is in milliseconds since the epoch."""
        options: dict[str, Any] = {"key": key, "headers": list(headers) or None, "on_delivery": self._delivered}
        if timestamp is not None:
            options["timestamp"] = timestamp
        if partition is not None:
            options["partition"] = partition
        while True:
            try:
                self._producer.produce(topic, value, **options)
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                raise translate(error.args[0], f"sending to {topic}") from error

    def flush(self, timeout: float = 60.0) -> None:
        """Wait until all records have arrived, up to `timeout` seconds."""
        left = self._producer.flush(timeout)
        if self._failed is None and left:
            self._failed = f"{left} records were not taken within {timeout:.0f} s"
        if self._failed is not None:
            raise TransientError(f"broker {self._servers}: {self._failed}")

    def __enter__(self) -> RecordProducer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        if kind is None:
            self.flush()
        else:
            self._producer.purge()
            self._producer.flush(5)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and self._failed is None:
            self._failed = f"a record for {message.topic()} was refused: {error.str()}"
