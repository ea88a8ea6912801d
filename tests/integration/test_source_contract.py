"""What the engine may rely on in a source of records: the same cases against the in-memory one and the real broker."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic
from typing import Any, Protocol

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as Position

from consumers.concurrency import Scope, sleep
from consumers.core.errors import Misconfigured
from consumers.core.records import Record, TopicPartition
from consumers.core.source import Offsets, Polled, RecordSource
from consumers.kafka.config import consumer_properties
from consumers.kafka.producer import RecordProducer
from consumers.kafka.source import KafkaSource
from consumers.settings import engine_settings
from consumers.testing import MemoryLog, MemorySource

PATIENCE = 30.0
"""Seconds; far more than any group needs."""


class Listener:
    """Notes what it is told; answers a revoke with the given offsets."""

    def __init__(self) -> None:
        self.gone: list[TopicPartition] = []
        self.was_lost: list[TopicPartition] = []
        self.answer: dict[TopicPartition, int] = {}

    def revoked(self, sources: Collection[TopicPartition]) -> Offsets:
        sleep(0)  # it may wait, for chunks in flight
        self.gone += sources
        return {source: self.answer[source] for source in sources if source in self.answer}

    def lost(self, sources: Collection[TopicPartition]) -> None:
        self.was_lost += sources


class Broker(Protocol):
    """Topics, and members of groups that read them."""

    topic: str

    def make(self, partitions: int) -> None: ...
    def append(self, value: bytes | None, partition: int = 0, **fields: Any) -> None: ...
    def member(self, group: str, *, first: bool = True) -> RecordSource: ...
    def hand_over(self, source: TopicPartition, giver: RecordSource, taker: RecordSource) -> None:
        """What the group decides by itself, where there is one."""

    def append_in_transaction(self, value: bytes) -> None: ...
    def commit_as_another_tool(self, group: str, source: TopicPartition, offset: int) -> None: ...


class InMemory:
    def __init__(self, topic: str) -> None:
        self.topic = topic

    def make(self, partitions: int) -> None:
        self.log = MemoryLog({self.topic: partitions})

    def append(self, value: bytes | None, partition: int = 0, **fields: Any) -> None:
        self.log.append(self.topic, value, partition=partition, **fields)

    def append_in_transaction(self, value: bytes) -> None:
        self.append(value)
        self.log.skip(self.topic)

    def member(self, group: str, *, first: bool = True, topic: str = "") -> MemorySource:
        return MemorySource(self.log, [topic or self.topic], group, assign_all=first)

    def hand_over(self, source: TopicPartition, giver: Any, taker: Any) -> None:
        giver.revoke(source)
        taker.assign(source)

    def commit_as_another_tool(self, group: str, source: TopicPartition, offset: int) -> None:
        self.log.committed[group, source] = (offset, "")


class Kafka:
    def __init__(self, topic: str, producer: RecordProducer, protocol: str) -> None:
        self.topic = topic
        self._producer = producer
        self._settings = replace(engine_settings(), group_protocol=protocol)

    def make(self, partitions: int) -> None:
        self._producer.ensure_topic(self.topic, partitions)

    def append(self, value: bytes | None, partition: int = 0, **fields: Any) -> None:
        self._producer.send(self.topic, value, partition=partition, **fields)
        self._producer.flush()

    def append_in_transaction(self, value: bytes) -> None:
        servers = self._settings.bootstrap_servers
        producer = Producer({"bootstrap.servers": servers, "transactional.id": self.topic})
        producer.init_transactions(PATIENCE)
        producer.begin_transaction()
        producer.produce(self.topic, value, partition=0)
        producer.commit_transaction(PATIENCE)

    def member(self, group: str, *, first: bool = True, topic: str = "") -> KafkaSource:
        return KafkaSource([topic or self.topic], consumer_properties(self._settings, group), revoke_timeout=10)

    def hand_over(self, source: TopicPartition, giver: Any, taker: Any) -> None:
        pass

    def commit_as_another_tool(self, group: str, source: TopicPartition, offset: int) -> None:
        tool = Consumer({"bootstrap.servers": self._settings.bootstrap_servers, "group.id": group})
        tool.commit(offsets=[Position(*source, offset)], asynchronous=False)
        tool.close()


@pytest.fixture(params=["memory", "classic", "consumer"])
def broker(request: pytest.FixtureRequest) -> Broker:
    topic = f"contract-{uuid.uuid4().hex[:12]}"
    if request.param == "memory":
        return InMemory(topic)
    return Kafka(topic, request.getfixturevalue("producer"), request.param)


@pytest.fixture
def group() -> str:
    return f"contract-{uuid.uuid4().hex[:12]}"


@contextmanager
def joined(source: RecordSource, listener: Listener | None = None) -> Iterator[RecordSource]:
    """A member for as long as the block lasts."""
    with Scope() as scope:
        try:
            source.open(listener or Listener(), scope.spawn)
            yield source
        finally:
            source.close()
            scope.cancel()


def poll_until(source: RecordSource, done: Callable[[], object], seen: list[Polled], *others: RecordSource) -> None:
    """Poll, the other members too, until a condition holds; what came is added to `seen`."""
    deadline = monotonic() + PATIENCE
    while not done():
        assert monotonic() < deadline, f"nothing more comes; so far: {seen}"
        polled = source.poll(100, 1_000_000, 0.05)
        if polled.fetched or polled.ends or polled.assigned:
            seen.append(polled)
        for other in others:
            other.poll(100, 1_000_000, 0.05)


def assigned(seen: list[Polled]) -> set[TopicPartition]:
    return {source for polled in seen for source in polled.assigned}


def records(seen: list[Polled], generation: int | None = None) -> list[Record]:
    fetched = [each for polled in seen for each in polled.fetched]
    return [record for each in fetched if generation in (None, each.generation) for record in each.records]


def ends(seen: list[Polled]) -> dict[TopicPartition, tuple[int, int]]:
    return {source: end for polled in seen for source, end in polled.ends.items()}


def await_assignment(source: RecordSource, *wanted: TopicPartition, others: Collection[RecordSource] = ()) -> None:
    seen: list[Polled] = []
    poll_until(source, lambda: assigned(seen) >= set(wanted), seen, *others)
    assert not records(seen)


def start(source: RecordSource, at: int, partition: TopicPartition) -> int:
    await_assignment(source, partition)
    return source.start_at({partition: at})[partition]


def test_a_missing_topic_is_named_when_the_source_is_opened(broker: Any, group: str) -> None:
    broker.make(1)
    with pytest.raises(Misconfigured, match="no-such-topic"), joined(broker.member(group, topic="no-such-topic")):
        pass


def test_the_partitions_of_the_topics_are_known(broker: Broker, group: str) -> None:
    broker.make(3)
    with joined(broker.member(group)) as source:
        assert source.partitions() == [TopicPartition(broker.topic, number) for number in range(3)]


def test_the_end_of_a_partition_is_known_by_reading_and_that_of_a_paused_one_by_asking(
    broker: Broker, group: str
) -> None:
    broker.make(1)
    broker.append(b"0")
    partition = TopicPartition(broker.topic, 0)
    seen: list[Polled] = []
    with joined(broker.member(group)) as source:
        start(source, 0, partition)
        poll_until(source, lambda: records(seen), seen)
        assert source.ends([partition]) == {partition: 1}
        source.pause([partition])
        broker.append(b"1")
        assert source.ends([partition], stale=[partition]) == {partition: 2}
        assert source.ends([TopicPartition("nowhere", 7)]).get(partition) is None


def test_an_assigned_partition_delivers_nothing_before_it_is_started(broker: Broker, group: str) -> None:
    broker.make(1)
    broker.append(b"0")
    seen: list[Polled] = []
    with joined(broker.member(group)) as source:
        await_assignment(source, TopicPartition(broker.topic, 0))
        seen.extend(source.poll(10, 1_000, 0.05) for _ in range(5))
    assert not records(seen)
    assert not ends(seen)


@pytest.mark.parametrize("first", [0, 2, 4])
def test_the_first_record_after_a_start_is_the_one_asked_for(broker: Broker, group: str, first: int) -> None:
    broker.make(1)
    for number in range(5):
        broker.append(b"%d" % number)
    seen: list[Polled] = []
    with joined(broker.member(group)) as source:
        generation = start(source, first, TopicPartition(broker.topic, 0))
        poll_until(source, lambda: len(records(seen)) >= 5 - first, seen)
    assert [record.offset for record in records(seen, generation)] == list(range(first, 5))
    assert records(seen)[0].value == b"%d" % first


def test_a_record_comes_with_all_that_was_sent(broker: Broker, group: str) -> None:
    broker.make(1)
    headers = (("name", b"\xff\x00"), ("none", None), ("name", b"again"))
    broker.append(b"\x00\xff", key=b"\xfe", headers=headers, timestamp=1_700_000_000_123)
    broker.append(None, key=b"k")
    partition = TopicPartition(broker.topic, 0)
    seen: list[Polled] = []
    with joined(broker.member(group)) as source:
        start(source, 0, partition)
        poll_until(source, lambda: len(records(seen)) == 2, seen)
    full, tombstone = records(seen)
    assert full == Record(partition, 0, b"\x00\xff", b"\xfe", headers, 1_700_000_000_123)
    assert (tombstone.value, tombstone.key, tombstone.headers) == (None, b"k", ())


def test_the_end_is_told_once_and_again_after_more_records(broker: Broker, group: str) -> None:
    broker.make(1)
    broker.append(b"0")
    partition = TopicPartition(broker.topic, 0)
    seen: list[Polled] = []
    with joined(broker.member(group)) as source:
        generation = start(source, 0, partition)
        poll_until(source, lambda: ends(seen), seen)
        assert ends(seen) == {partition: (generation, 1)}
        broker.append(b"1")
        poll_until(source, lambda: ends(seen)[partition] == (generation, 2), seen)
    assert [record.offset for record in records(seen)] == [0, 1]


def test_the_end_of_an_empty_partition_is_told(broker: Broker, group: str) -> None:
    broker.make(1)
    partition = TopicPartition(broker.topic, 0)
    seen: list[Polled] = []
    with joined(broker.member(group)) as source:
        generation = start(source, 0, partition)
        poll_until(source, lambda: ends(seen), seen)
    assert ends(seen) == {partition: (generation, 0)}


def test_nothing_comes_of_a_paused_partition_until_it_is_started_again(broker: Broker, group: str) -> None:
    broker.make(1)
    partition = TopicPartition(broker.topic, 0)
    seen: list[Polled] = []
    with joined(broker.member(group)) as source:
        start(source, 0, partition)
        poll_until(source, lambda: ends(seen), seen)
        source.pause([partition])
        broker.append(b"0")
        quiet = [source.poll(10, 1_000, 0.1) for _ in range(5)]
        assert not records(quiet)
        source.start_at({partition: 0})
        poll_until(source, lambda: records(seen), seen)
    assert [record.offset for record in records(seen)] == [0]


def test_a_start_goes_on_exactly_where_it_is_told_and_forward_or_back(broker: Broker, group: str) -> None:
    broker.make(1)
    for number in range(10):
        broker.append(b"%d" % number)
    partition = TopicPartition(broker.topic, 0)
    with joined(broker.member(group)) as source:
        await_assignment(source, partition)
        generations = set()
        for first in (5, 0, 9, 3):
            [generation] = source.start_at({partition: first}).values()
            generations.add(generation)
            seen: list[Polled] = []
            poll_until(source, lambda g=generation, f=first, s=seen: len(records(s, g)) >= 10 - f, seen)  # type: ignore[misc]
            assert [record.offset for record in records(seen, generation)] == list(range(first, 10))
    assert len(generations) == 4


def test_a_poll_brings_no_more_records_than_asked_for(broker: Broker, group: str) -> None:
    broker.make(1)
    for number in range(20):
        broker.append(b"%d" % number)
    seen: list[Polled] = []
    with joined(broker.member(group)) as source:
        start(source, 0, TopicPartition(broker.topic, 0))
        deadline = monotonic() + PATIENCE
        while len(records(seen)) < 20:
            assert monotonic() < deadline
            seen.append(source.poll(3, 1_000_000, 0.05))
            assert len(records(seen[-1:])) <= 3
    assert [record.offset for record in records(seen)] == list(range(20))


def test_a_start_of_a_partition_that_is_not_assigned_is_ignored(broker: Broker, group: str) -> None:
    broker.make(1)
    stranger = TopicPartition(broker.topic, 7)
    with joined(broker.member(group)) as source:
        await_assignment(source, TopicPartition(broker.topic, 0))
        assert source.start_at({stranger: 0}) == {}
        source.pause([stranger])


def test_nothing_is_committed_in_a_new_group(broker: Broker, group: str) -> None:
    broker.make(1)
    with joined(broker.member(group)) as source:
        assert source.committed([TopicPartition(broker.topic, 0)]) == {}


def test_a_commit_of_ours_is_known_as_ours_to_the_next_member(broker: Broker, group: str) -> None:
    broker.make(1)
    broker.append(b"0")
    partition = TopicPartition(broker.topic, 0)
    with joined(broker.member(group)) as source:
        await_assignment(source, partition)
        source.commit({partition: 1}, wait=True)
        assert source.committed([partition]) == {partition: (1, True)}
    with joined(broker.member(group)) as source:
        assert source.committed([partition]) == {partition: (1, True)}


def test_a_commit_of_another_tool_is_not_ours(broker: Broker, group: str) -> None:
    broker.make(1)
    broker.append(b"0")
    partition = TopicPartition(broker.topic, 0)
    broker.commit_as_another_tool(group, partition, 1)
    with joined(broker.member(group)) as source:
        assert source.committed([partition]) == {partition: (1, False)}


def test_watermarks_are_the_first_offset_and_the_next_to_come(broker: Broker, group: str) -> None:
    broker.make(2)
    broker.append(b"0")
    broker.append(b"1")
    partitions = [TopicPartition(broker.topic, number) for number in range(2)]
    with joined(broker.member(group)) as source:
        assert source.watermarks(partitions) == {partitions[0]: (0, 2), partitions[1]: (0, 0)}


def test_a_member_that_leaves_frees_its_partitions_at_once(broker: Broker, group: str) -> None:
    broker.make(1)
    partition = TopicPartition(broker.topic, 0)
    for _ in range(2):
        began = monotonic()
        with joined(broker.member(group)) as source:
            await_assignment(source, partition)
        assert monotonic() - began < PATIENCE


def test_a_revoked_partition_is_committed_as_the_listener_says_and_starts_elsewhere(broker: Broker, group: str) -> None:
    broker.make(2)
    partitions = [TopicPartition(broker.topic, number) for number in range(2)]
    for number in range(2):
        broker.append(b"0", number)
    listener = Listener()
    listener.answer = dict.fromkeys(partitions, 1)
    with joined(broker.member(group), listener) as giver:
        await_assignment(giver, *partitions)
        giver.start_at(dict.fromkeys(partitions, 0))
        with joined(broker.member(group, first=False)) as taker:
            broker.hand_over(partitions[1], giver, taker)
            seen: list[Polled] = []
            poll_until(taker, lambda: assigned(seen), seen, giver)
            [moved] = assigned(seen)
            assert listener.gone == [moved]
            assert taker.committed([moved]) == {moved: (1, True)}
            assert giver.start_at({moved: 0}) == {}
            taker.start_at({moved: 0})
            poll_until(taker, lambda: records(seen), seen, giver)
            assert {record.source for record in records(seen)} == {moved}


def test_offsets_used_up_by_the_end_of_a_transaction_are_within_the_end_told(broker: Broker, group: str) -> None:
    broker.make(1)
    broker.append_in_transaction(b"0")
    partition = TopicPartition(broker.topic, 0)
    seen: list[Polled] = []
    with joined(broker.member(group)) as source:
        generation = start(source, 0, partition)
        poll_until(source, lambda: ends(seen), seen)
        assert source.watermarks([partition]) == {partition: (0, 2)}
    assert [record.offset for record in records(seen)] == [0]
    assert ends(seen) == {partition: (generation, 2)}


@pytest.mark.parametrize("broker", ["classic", "consumer"], indirect=True)
def test_an_assignment_is_said(broker: Broker, group: str) -> None:
    broker.make(1)
    notices: list[tuple[int, str]] = []
    with joined(broker.member(group)) as source:
        deadline = monotonic() + PATIENCE
        while not notices:
            assert monotonic() < deadline
            notices += source.poll(1, 1, 0.05).notices
    assert (logging.INFO, f"assigned {broker.topic}[0]") in notices
