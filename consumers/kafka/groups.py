"""What the broker knows of groups and topics, for commands that do not consume."""

from __future__ import annotations

from time import monotonic
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import AdminClient

from consumers.core.errors import Misconfigured, TransientError
from consumers.core.records import TopicPartition
from consumers.kafka.config import client_properties
from consumers.kafka.errors import translate, translated
from consumers.kafka.quiet import QuietLogger
from consumers.settings import EngineSettings

_TIMEOUT = 10.0


class BrokerView:
    """Read-only questions to the broker. A context manager; not for greenlets, its calls block the thread."""

    def __init__(self, settings: EngineSettings, group: str) -> None:
        """The view of one group; joins nothing."""
        self._properties = client_properties(settings)
        properties: dict[str, Any] = {
            **self._properties,
            "group.id": group,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
        self._group = group
        try:
            self._client = Consumer(properties, logger=QuietLogger())
        except KafkaException as error:
            raise Misconfigured(f"the broker client refuses its properties: {error.args[0].str()}") from error

    def __enter__(self) -> BrokerView:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._client.close()

    def members(self) -> list[str]:
        """The client id and host of each live member of the group."""
        admin = AdminClient(self._properties, logger=QuietLogger())  # it connects: only whoever asks makes one
        try:
            described = admin.describe_consumer_groups([self._group], request_timeout=_TIMEOUT)
            return [f"{each.client_id} on {each.host}" for each in described[self._group].result().members]
        except KafkaException as error:
            if error.args[0].code() in (KafkaError.GROUP_ID_NOT_FOUND, KafkaError.INVALID_GROUP_ID):
                return []
            raise translate(error.args[0], f"reading the members of group {self._group}") from error

    def partitions(self, topic: str) -> list[TopicPartition]:
        """All partitions of a topic.

        Raises:
            Misconfigured: there is no such topic.
        """
        with translated("reading the topics"):
            known: Any = self._client.list_topics(topic, timeout=_TIMEOUT).topics.get(topic)
        if known is None or known.error is not None or not known.partitions:
            raise Misconfigured(f"topic {topic} does not exist on the broker")
        return [TopicPartition(topic, number) for number in sorted(known.partitions)]

    def watermarks(self, source: TopicPartition) -> tuple[int, int]:
        """(first offset there is, offset of the next record to come)."""
        client: Any = self._client
        with translated(f"reading the end offsets of {source}"):
            low, high = client.get_watermark_offsets(ClientPartition(*source), timeout=_TIMEOUT)
        return low, high

    def first_from(self, source: TopicPartition, offset: int) -> int:
        """The offset of the first record from `offset` on, read from the log itself; the end if there is none."""
        client: Any = self._client
        with translated(f"reading {source} from {offset}"):
            client.assign([ClientPartition(source.topic, source.partition, offset)])
            try:
                return self._first_offset(client, source)
            finally:
                client.unassign()

    def _first_offset(self, client: Any, source: TopicPartition) -> int:
        deadline = monotonic() + _TIMEOUT
        while monotonic() < deadline:
            message = client.poll(0.5)
            if message is None:
                continue
            error = message.error()
            if error is None or error.code() == KafkaError._PARTITION_EOF:
                return int(message.offset())
            raise translate(error, f"reading {source}")
        raise TransientError(f"reading {source}: no answer within {_TIMEOUT:.0f} s")

    def offset_at(self, source: TopicPartition, milliseconds: int) -> int:
        """The first offset whose record is as young as the given time, in milliseconds since the epoch; the end if
        there is none."""
        asked = ClientPartition(source.topic, source.partition, milliseconds)
        with translated(f"looking up a time in {source}"):
            [found] = self._client.offsets_for_times([asked], _TIMEOUT)
        return found.offset if found.offset >= 0 else self.watermarks(source)[1]
