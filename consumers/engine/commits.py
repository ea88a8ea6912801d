"""The broker's copy of a run's progress: for tools that look there, nothing depends on it."""

from __future__ import annotations

import logging
from collections.abc import Collection

from consumers.concurrency import monotonic
from consumers.core.errors import TransientError
from consumers.core.records import TopicPartition
from consumers.core.source import RecordSource
from consumers.engine.partitions import Hold, Partitions

logger = logging.getLogger(__name__)


class Commits:
    """Commits what is settled, every `interval` seconds."""

    def __init__(self, name: str, source: RecordSource, partitions: Partitions, interval: float) -> None:
        """`name` is the consumer's."""
        self._name = name
        self._source = source
        self._partitions = partitions
        self._interval = interval
        self._committed_at = monotonic()

    @property
    def is_due(self) -> bool:
        return monotonic() - self._committed_at >= self._interval

    def commit(self, *, wait: bool = False) -> None:
        """Commit what is new; with `wait` all of it, and the broker has answered when this returns."""
        active = self._partitions.in_state(Hold.ACTIVE)
        offsets = {p.source: p.settled for p in active if p.settled > p.committed or (wait and p.settled >= 0)}
        self._committed_at = monotonic()
        if not offsets:
            return
        try:
            self._source.commit(offsets, wait=wait)
        except TransientError as error:
            logger.warning("%s could not commit to the broker, the ledger stands: %s", self._name, error)
            return
        for partition in filter(None, map(self._partitions.get, offsets)):
            partition.committed = offsets[partition.source]

    def refused(self, sources: Collection[TopicPartition]) -> None:
        """The broker has refused an earlier commit of these: once more with the next one."""
        for partition in filter(None, map(self._partitions.get, sources)):
            partition.committed = -1
