"""What operators have ordered a running consumer, and what it does about it at its next turn."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

from consumers.core.orders import Pauses
from consumers.core.records import TopicPartition
from consumers.engine.events import Events
from consumers.engine.partitions import Partition, Partitions, names_of
from consumers.engine.storage import Storage

logger = logging.getLogger(__name__)


class Obedience:
    """Orders may come at any time, from any greenlet; they take effect in `obey`, between two polls."""

    def __init__(self, name: str, partitions: Partitions, storage: Storage, events: Events) -> None:
        """`name` is the consumer's."""
        self.workers = 0
        """How many `process` workers are ordered; 0: the consumer's own number."""
        self._name = name
        self._partitions = partitions
        self._storage = storage
        self._events = events
        self._pauses: Pauses | None = None
        self._moved: set[TopicPartition] = set()

    # ---- orders -----------------------------------------------------------------------------------------------------

    def pause(self, pauses: Pauses) -> None:
        """Read nothing of what these cover, and go on with all else."""
        self._pauses = pauses

    def claim_again(self, sources: Collection[TopicPartition]) -> None:
        """Somebody has moved the ledger: go on where it stands now."""
        self._moved.update(sources)

    def use_workers(self, number: int) -> None:
        """Process the chunks to come with so many workers; 0 is the consumer's own number."""
        self.workers = number
        self._storage.use_workers(number)

    # ---- obeying them -----------------------------------------------------------------------------------------------

    def obey(self) -> list[Partition]:
        """Mark what is to be paused and what is not any more; returns the partitions that are to be claimed again."""
        pauses, self._pauses = self._pauses, None
        if pauses is not None:
            self._mark(pauses)
        moved, self._moved = self._moved, set()
        held = [partition for partition in map(self._partitions.active, moved) if partition is not None]
        for partition in held:
            partition.claims = 0
        return held

    def _mark(self, pauses: Pauses) -> None:
        changed = [each for each in self._partitions if each.operator_paused != pauses.covers(each.source)]
        for partition in changed:
            partition.operator_paused = not partition.operator_paused
        self._tell("pauses", [each for each in changed if each.operator_paused])
        self._tell("resumes", [each for each in changed if not each.operator_paused])

    def _tell(self, what: str, partitions: Iterable[Partition]) -> None:
        names = names_of(partition.source for partition in partitions)
        if names:
            text = f"{self._name} {what} {names}, by order"
            logger.info("%s", text)
            self._events.add("order", text)
