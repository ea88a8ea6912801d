"""A member's part in the group: partitions come, are given back once they are settled, or are lost."""

from __future__ import annotations

import logging
from collections.abc import Collection

from consumers.concurrency import monotonic
from consumers.core.records import TopicPartition
from consumers.engine.claims import Claims
from consumers.engine.intake import Intake
from consumers.engine.partitions import Hold, Partition, Partitions, names_of
from consumers.engine.stats import Statistics

logger = logging.getLogger(__name__)

Sources = Collection[TopicPartition]


class Membership:
    """The `RebalanceListener` of a run."""

    def __init__(
        self, partitions: Partitions, intake: Intake, claims: Claims, statistics: Statistics, revoke_timeout: float
    ) -> None:
        """`revoke_timeout`, in seconds, bounds what `revoked` waits for."""
        self._partitions = partitions
        self._intake = intake
        self._claims = claims
        self._statistics = statistics
        self._name = statistics.consumer
        self._revoke_timeout = revoke_timeout

    def assigned(self, sources: Sources) -> list[Partition]:
        """Take on partitions; they are to be claimed."""
        if sources:
            self._rebalanced("was assigned", sources)
        return [self._partitions.add(source) for source in sources]

    def revoked(self, sources: Sources) -> dict[TopicPartition, int]:
        self._rebalanced("gives back", sources)
        held = [p for p in map(self._partitions.get, sources) if p is not None]
        for partition in held:
            partition.hold = Hold.LEAVING if partition.hold is Hold.ACTIVE else Hold.GONE
        self._settle(sources)
        settled = {p.source: p.settled for p in held if p.hold is Hold.LEAVING and p.settled > p.committed}
        self._let_go(sources)
        return settled

    def lost(self, sources: Sources) -> None:
        self._rebalanced("has lost", sources)
        self._let_go(sources)

    def _settle(self, sources: Sources) -> None:
        """Wait for what is in flight; what waits was never begun."""
        deadline = monotonic() + self._revoke_timeout
        self._claims.wait(sources, deadline)
        self._intake.drop(sources)
        for lane in self._intake.lanes:
            busy = lane.drain(sources, deadline)
            if busy:
                logger.warning("%s gives up %s unsettled: %s", self._name, busy, lane.doing())

    def _let_go(self, sources: Sources) -> None:
        self._partitions.remove(sources)
        self._intake.drop(sources)

    def _rebalanced(self, what: str, sources: Sources) -> None:
        self._statistics.rebalances += 1
        self._statistics.events.add("rebalance", f"{self._name} {what} {names_of(sources)}")
