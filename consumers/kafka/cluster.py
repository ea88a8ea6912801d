"""What the brokers tell of themselves, of topics and of groups: for whoever judges a configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka import admin as client_admin
from confluent_kafka.admin import AdminClient

from consumers.core.errors import Misconfigured, TransientError
from consumers.core.records import TopicPartition
from consumers.kafka.config import client_properties, only_for_producers
from consumers.kafka.errors import complaint, translate, translated
from consumers.kafka.quiet import QuietLogger
from consumers.settings import EngineSettings

_TIMEOUT = 10.0
_ATTEMPTS = 3

ConfigResource: Any = client_admin.ConfigResource  # type: ignore[attr-defined]
OffsetSpec: Any = client_admin.OffsetSpec  # type: ignore[attr-defined]

R = TypeVar("R")


@dataclass(frozen=True)
class Topic:
    """A topic as the controller sees it: by partition, how many replicas there are and how many of them are in sync."""

    name: str
    partitions: Mapping[int, tuple[int, int]]
    config: Mapping[str, str]


@dataclass(frozen=True)
class Group:
    """A group as its coordinator sees it. `kind` and `state` are its words in lower case; `members` are client id and
    host of each, with the number of partitions that it holds."""

    kind: str
    state: str
    assignor: str
    members: Sequence[tuple[str, int]]


class Cluster:
    """Read-only questions, each of which may block its thread for ten seconds.

    Raises (any call):
        Misconfigured: the broker refuses us, or what is asked for is not there.
        TransientError: no broker answers.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._servers = settings.bootstrap_servers
        self._properties = only_for_producers(client_properties(settings))
        self._said: list[str] = []

    def brokers(self) -> list[int]:
        """The ids of the brokers that are up."""
        try:
            return sorted(broker.id for broker in self._described().nodes)
        except TransientError as error:
            self._admin.poll(0.1)  # what the client has to say of it is more to the point than its time-out
            raise TransientError(complaint(self._said) or str(error)) from error

    def broker_config(self) -> dict[str, str]:
        """The settings of one of the brokers."""
        return self._config(ConfigResource.Type.BROKER, str(self.brokers()[0]))

    def topic(self, name: str) -> Topic | None:
        """None if there is no such topic; none is made."""
        # Not list_topics(name): that would have a broker make the topic, where it makes topics by itself.
        asked: Any = self._admin.describe_topics(TopicCollection([name]), request_timeout=_TIMEOUT)
        try:
            described = asked[name].result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            raise translate(error.args[0], f"reading topic {name}") from error
        partitions = {each.id: (len(each.replicas), len(each.isr)) for each in described.partitions}
        return Topic(name, partitions, self._config(ConfigResource.Type.TOPIC, name))

    def group(self, name: str) -> Group | None:
        """None if the coordinator does not know it."""
        try:
            described: Any = self._admin.describe_consumer_groups([name], request_timeout=_TIMEOUT)[name].result()
        except KafkaException as error:
            if error.args[0].code() in (KafkaError.GROUP_ID_NOT_FOUND, KafkaError.INVALID_GROUP_ID):
                return None
            raise translate(error.args[0], f"reading group {name}") from error
        members = [(f"{m.client_id} on {m.host}", len(m.assignment.topic_partitions)) for m in described.members]
        kind, state = described.type.name.lower(), described.state.name.lower()
        return Group(kind, state, described.partition_assignor, members)

    def ends(self, sources: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """(first offset there is, offset of the next record to come) of each partition."""
        asked = list(sources)
        lows = self._offsets(asked, OffsetSpec.earliest(), lambda found: found.offset)
        highs = self._offsets(asked, OffsetSpec.latest(), lambda found: found.offset)
        return {source: (lows[source], highs[source]) for source in asked}

    def newest(self, sources: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The latest timestamp of any record of each partition, in milliseconds since the epoch; -1 without records."""
        return self._offsets(sources, OffsetSpec.max_timestamp(), lambda found: found.timestamp)

    def _offsets(
        self, sources: Iterable[TopicPartition], spec: Any, read: Callable[[Any], R]
    ) -> dict[TopicPartition, R]:
        asked = {ClientPartition(*source): spec for source in sources}
        if not asked:
            return {}
        for attempt in range(_ATTEMPTS):
            try:
                with translated("reading offsets"):
                    answers = self._admin.list_offsets(asked, request_timeout=_TIMEOUT)
                    return {TopicPartition(at.topic, at.partition): read(each.result()) for at, each in answers.items()}
            except TransientError:  # a new client may ask a broker that does not lead the partition, and learns by that
                if attempt == _ATTEMPTS - 1:
                    raise
        return {}

    def _config(self, kind: Any, name: str) -> dict[str, str]:
        resource = ConfigResource(kind, name)
        with translated(f"reading the configuration of {name}"):
            answers: Any = self._admin.describe_configs([resource], request_timeout=_TIMEOUT)
            return {entry.name: entry.value or "" for entry in answers[resource].result().values()}

    def _described(self) -> Any:
        with translated(f"broker {self._servers}"):
            return self._admin.describe_cluster(request_timeout=_TIMEOUT).result()

    @property
    def _admin(self) -> AdminClient:
        """Made when first needed: making one connects."""
        if self._client is None:
            try:
                given = {**self._properties, "error_cb": lambda error: self._said.append(error.str())}
                self._client = AdminClient(given, logger=QuietLogger())
            except KafkaException as error:
                raise Misconfigured(f"the broker client refuses its properties: {error.args[0].str()}") from error
        return self._client

    _client: AdminClient | None = None
