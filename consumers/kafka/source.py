"""A member of a consumer group, as a `RecordSource`.

The client's calls block, and its rebalance callbacks run inside `consume()`: so all calls go through one native
thread, in which no greenlet primitive is touched but the bridge's. Methods named `_native_*` run in that thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

import confluent_kafka.admin  # noqa: F401  (the client would, in the native thread: see `NativeThread`)
from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as ClientPartition

from consumers.concurrency import Bridge, NativeThread, native_sleep
from consumers.core.errors import FatalError, Misconfigured, TransientError
from consumers.core.records import TopicPartition
from consumers.core.source import Committed, Offsets, Polled, RebalanceListener
from consumers.kafka.errors import complaint, translate, translated
from consumers.kafka.outage import Outage
from consumers.kafka.quiet import QuietLogger
from consumers.kafka.records import Grouping

_OUR_COMMIT = "consumers/1"
"""Marks our commits in their metadata, which other tools leave empty."""

_CALL_TIMEOUT = 10.0
_CONSUME_AT_ONCE = 500
_ENDS_TIMEOUT = 0.25
"""Seconds that questions for the ends of partitions that are not read may keep the thread from polling."""
_SAY_AGAIN = 30.0
_SHORTEST = 0.001
"""Seconds; the client takes less for nothing, and would be asked in circles."""
_PROBE_TIMEOUT = 0.25
"""Seconds that a look at whether the broker is back may keep the thread from polling."""

_Question = tuple[str, Collection[TopicPartition]]


class KafkaSource:
    """One client, one group, some topics. See `RecordSource` for the contract."""

    def __init__(self, topics: Sequence[str], properties: dict[str, Any], revoke_timeout: float) -> None:
        """`properties` as from `config.consumer_properties`; `revoke_timeout` in seconds bounds what a rebalance waits
        for the listener.

        Raises:
            Misconfigured: a property has no meaning or an impossible value.
        """
        self._topics = list(topics)
        self._servers = properties.get("bootstrap.servers")
        self._revoke_timeout = revoke_timeout
        self._notices: list[tuple[int, str]] = []
        self._warned_at: dict[int, float] = {}
        self._outage = Outage(lambda: self._client.list_topics(self._topics[0], _PROBE_TIMEOUT))
        self._assigned: dict[TopicPartition, int] = {}
        self._fresh: list[TopicPartition] = []
        self._generation = 0
        self._refused: list[TopicPartition] = []
        self._joined = False
        self._closing = False
        self._average = 1_000.0
        self._thread = NativeThread()
        self._bridge: Bridge[_Question, Offsets] | None = None
        try:
            callbacks = {"error_cb": self._native_error, "on_commit": self._native_committed}
            self._client = Consumer({**properties, **callbacks}, logger=QuietLogger())
        except KafkaException as error:
            raise Misconfigured(f"the broker client refuses its properties: {error.args[0].str()}") from error

    # ---- RecordSource -----------------------------------------------------------------------------------------------

    def open(self, listener: RebalanceListener, spawn: Callable[..., object]) -> None:
        self._listener = listener
        try:
            self.partitions()
        except TransientError as error:
            said = self._thread.call(self._native_said) or str(error)
            mend = "Check KAFKA_BOOTSTRAP_SERVERS, and KAFKA_PROPERTIES where the broker wants TLS or a login."
            raise Misconfigured(f"no broker answers at {self._servers}: {said}. {mend}") from error
        self._bridge = Bridge(self._answer)
        spawn(self._bridge.serve)

    def poll(self, max_records: int, max_bytes: int, timeout: float) -> Polled:
        return self._thread.call(self._native_poll, max_records, max_bytes, timeout)

    def start_at(self, offsets: Offsets) -> dict[TopicPartition, int]:
        return self._thread.call(self._native_start_at, offsets)

    def pause(self, sources: Collection[TopicPartition]) -> None:
        self._thread.call(self._native_pause, sources)

    def commit(self, offsets: Offsets, *, wait: bool = False) -> None:
        with translated("commit"):
            self._thread.call(self._native_commit, offsets, wait)

    def committed(self, sources: Collection[TopicPartition]) -> dict[TopicPartition, Committed]:
        with translated("reading the group's committed offsets"):
            found = self._thread.call(self._client.committed, _plain(sources), _CALL_TIMEOUT)
        return {
            TopicPartition(each.topic, each.partition): Committed(each.offset, _is_ours(each.metadata))
            for each in found
            if each.offset >= 0
        }

    def watermarks(self, sources: Collection[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        with translated("reading the topics' end offsets"):
            return self._thread.call(self._native_watermarks, sources)

    def ends(
        self, sources: Collection[TopicPartition], stale: Collection[TopicPartition] = ()
    ) -> dict[TopicPartition, int]:
        return self._thread.call(self._native_ends, sources, stale)

    def partitions(self) -> list[TopicPartition]:
        with translated("reading the topics"):
            known = self._thread.call(self._client.list_topics, None, _CALL_TIMEOUT).topics
        missing = [topic for topic in self._topics if topic not in known or not known[topic].partitions]
        if missing:
            raise Misconfigured(
                f"topic {', '.join(missing)} does not exist on the broker. Create it (kafka-topics.sh --create --topic "
                f"{missing[0]} --partitions 6) or send a first record to it."
            )
        return [TopicPartition(topic, number) for topic in self._topics for number in sorted(known[topic].partitions)]

    def close(self) -> None:
        self._closing = True
        self._thread.call(self._client.close)
        self._thread.close()
        if self._bridge is not None:
            self._bridge.close()

    def _answer(self, question: _Question) -> Offsets:
        what, sources = question
        if what == "revoked":
            return self._listener.revoked(sources)
        self._listener.lost(sources)
        return {}

    # ---- in the native thread ---------------------------------------------------------------------------------------

    def _native_join(self) -> None:
        """Not before the first poll: while the broker lets a member wait for a dead one's session to time out, it
        answers nothing else on that connection, and whoever asks for the committed offsets meanwhile times out."""
        self._joined = True
        self._client.subscribe(
            self._topics, on_assign=self._native_assigned, on_revoke=self._native_revoked, on_lost=self._native_lost
        )

    def _native_poll(self, max_records: int, max_bytes: int, timeout: float) -> Polled:
        if not self._joined:
            self._native_join()
        polled, fetched = Polled(), Grouping(self._assigned)
        deadline = monotonic() + timeout
        while True:
            left = min(max_records - fetched.count, int((max_bytes - fetched.size) / self._average) + 1)
            messages = self._native_consume(min(left, _CONSUME_AT_ONCE), max(0.0, deadline - monotonic()))
            for message in fetched.add(messages):
                self._native_notice(message, polled)
            if fetched.count >= max_records or fetched.size >= max_bytes or deadline - monotonic() < _SHORTEST:
                break
        polled.trigger = fetched.trigger(max_records, max_bytes, bool(polled.ends))
        if fetched.count:
            self._average = max(100.0, fetched.size / fetched.count)
        polled.fetched = fetched.result(self._assigned)
        polled.assigned, self._fresh = [s for s in self._fresh if s in self._assigned], []
        polled.refused, self._refused = self._refused, []
        polled.notices, self._notices = self._notices, []
        self._outage.look()
        polled.broker = self._outage.text
        return polled

    def _native_consume(self, count: int, timeout: float) -> list[Message]:
        try:
            messages: list[Message] = self._client.consume(count, timeout)
        except KafkaException as error:
            self._native_note(error.args[0])
            native_sleep(0.1)
            return []
        return messages

    def _native_notice(self, message: Any, polled: Polled) -> None:
        """Take note of a message that is no record."""
        error = message.error()
        if error.code() == KafkaError._PARTITION_EOF:
            source = TopicPartition(message.topic(), message.partition())
            if source in self._assigned:
                polled.ends[source] = (self._assigned[source], message.offset())
        else:
            self._native_note(error)

    def _native_note(self, error: KafkaError) -> None:
        """Say what passes; raise what does not."""
        trouble = translate(error, "poll")
        if error.fatal() or error.code() == KafkaError._FATAL:
            # The client is dead from here on, though it would be polled without complaint.
            raise FatalError(f"the broker client cannot go on: {error.str()}")
        if not isinstance(trouble, TransientError):
            raise trouble
        self._native_warn(error)

    def _native_start_at(self, offsets: Offsets) -> dict[TopicPartition, int]:
        started = {}
        for source, offset in offsets.items():
            if source in self._assigned:
                self._native_seek(source, offset)
                self._generation += 1
                self._assigned[source] = started[source] = self._generation
        if started:
            self._client.resume(_plain(started))
        return started

    def _native_seek(self, source: TopicPartition, offset: int) -> None:
        """Seek; the client refuses with "erroneous state" until the assignment has reached its own threads."""
        deadline = monotonic() + _CALL_TIMEOUT
        while True:
            try:
                self._client.seek(ClientPartition(source.topic, source.partition, offset))
                return
            except KafkaException as error:
                if error.args[0].code() != KafkaError._STATE or monotonic() > deadline:
                    raise translate(error.args[0], f"seek of {source}") from error
                native_sleep(0.01)

    def _native_pause(self, sources: Collection[TopicPartition]) -> None:
        held = [source for source in sources if source in self._assigned]
        if held:
            self._client.pause(_plain(held))

    def _native_commit(self, offsets: Offsets, wait: bool) -> None:
        held = [
            ClientPartition(s.topic, s.partition, o, _OUR_COMMIT) for s, o in offsets.items() if s in self._assigned
        ]
        if held:
            client: Any = self._client
            client.commit(offsets=held, asynchronous=not wait)

    def _native_watermarks(self, sources: Collection[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        client: Any = self._client
        return {s: client.get_watermark_offsets(ClientPartition(*s), timeout=_CALL_TIMEOUT) for s in sources}

    def _native_ends(
        self, sources: Collection[TopicPartition], stale: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        deadline, ends = monotonic() + _ENDS_TIMEOUT, {}
        for source in sources:
            left = deadline - monotonic()
            end = self._native_end(source, left if source in stale and left > 0.01 else 0.0)
            if end >= 0:
                ends[source] = end
        return ends

    def _native_end(self, source: TopicPartition, timeout: float) -> int:
        """A partition's end, from the broker if there is time to ask, else as last heard; -1 if nothing was."""
        client: Any = self._client
        for how in ({"timeout": timeout}, {"cached": True}) if timeout else ({"cached": True},):
            with suppress(KafkaException):
                marks = client.get_watermark_offsets(ClientPartition(*source), **how)
                if marks:
                    return int(marks[1])
        return -1

    # ---- callbacks, in the native thread, inside consume() ----------------------------------------------------------

    def _native_assigned(self, client: Consumer, partitions: list[ClientPartition]) -> None:
        client.incremental_assign(partitions)
        client.pause(partitions)
        for each in partitions:
            self._generation += 1
            self._assigned[TopicPartition(each.topic, each.partition)] = self._generation
        self._fresh.extend(TopicPartition(each.topic, each.partition) for each in partitions)
        self._notices.append((logging.INFO, f"assigned {_names(partitions)}"))

    def _native_revoked(self, client: Consumer, partitions: list[ClientPartition]) -> None:
        settled = self._ask("revoked", partitions)
        try:
            if settled:
                self._native_commit_now(settled)
        finally:
            self._forget(partitions)
            client.incremental_unassign(partitions)
            self._notices.append((logging.INFO, f"revoked {_names(partitions)}"))

    def _native_lost(self, client: Consumer, partitions: list[ClientPartition]) -> None:
        self._forget(partitions)
        self._ask("lost", partitions)
        client.incremental_unassign(partitions)
        self._notices.append((logging.WARNING, f"lost {_names(partitions)}: this member was thought dead"))

    def _native_commit_now(self, settled: Offsets) -> None:
        offsets = [ClientPartition(s.topic, s.partition, o, _OUR_COMMIT) for s, o in settled.items()]
        try:
            self._client.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            self._notices.append((logging.WARNING, f"commit at revoke: {error.args[0].str()}; the ledger stands"))

    def _native_committed(self, error: KafkaError | None, partitions: list[ClientPartition]) -> None:
        """The broker's answer to a commit that nobody waited for."""
        self._refused.extend(TopicPartition(p.topic, p.partition) for p in partitions if error or p.error)

    def _native_error(self, error: KafkaError) -> None:
        if not self._closing:
            self._native_warn(error)

    def _native_said(self) -> str:
        """What the client has said of the broker and nobody has heard yet; more to the point than its time-outs."""
        for _ in range(20):  # each may hear of one thing only
            self._client.poll(0)
        said, self._notices = self._notices, []
        return complaint(text.removeprefix("broker: ") for _, text in said)

    def _native_warn(self, error: KafkaError) -> None:
        """Say what ails the broker, once in a while: in an outage the client repeats it twenty times a second."""
        self._outage.heard(error)
        now = monotonic()
        if now - self._warned_at.get(error.code(), -_SAY_AGAIN) >= _SAY_AGAIN:
            self._warned_at[error.code()] = now
            self._notices.append((logging.WARNING, f"broker: {error.str()}"))

    def _ask(self, what: str, partitions: list[ClientPartition]) -> Offsets:
        if self._closing or self._bridge is None:
            return {}
        sources = [TopicPartition(each.topic, each.partition) for each in partitions]
        return self._bridge.ask((what, sources), self._revoke_timeout + 5.0) or {}

    def _forget(self, partitions: list[ClientPartition]) -> None:
        for each in partitions:
            self._assigned.pop(TopicPartition(each.topic, each.partition), None)


def _plain(sources: Collection[TopicPartition]) -> list[ClientPartition]:
    return [ClientPartition(source.topic, source.partition) for source in sources]


def _names(partitions: Collection[ClientPartition]) -> str:
    return ", ".join(f"{each.topic}[{each.partition}]" for each in partitions)


def _is_ours(metadata: str | None) -> bool:
    return bool(metadata and metadata.startswith(_OUR_COMMIT))
