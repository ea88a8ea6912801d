"""Ways to break the contract. Each puts one thing wrong; the simulation must notice, or it could not fail at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consumers.core.chunks import Backlog, Chunk
from consumers.core.ledger import Standing, judge
from consumers.core.outcomes import Outcomes
from consumers.engine.claims import Claims
from consumers.engine.hold import Holder
from consumers.engine.intake import Intake
from consumers.engine.lane import Lane
from consumers.engine.partitions import Hold, Partition
from consumers.engine.results import Results
from consumers.pipeline.flow import Processed
from tests.simulation.store import MemoryLedger, MemoryProgress, MemoryStorage

Sabotage = Callable[[pytest.MonkeyPatch], None]

JUDGE = "consumers.pipeline.progress.judge"


def no_fencing(patch: pytest.MonkeyPatch) -> None:
    """A chunk is due whatever the ledger says."""
    patch.setattr(JUDGE, lambda *_: Standing.DUE)


def no_look_for_settled_chunks(patch: pytest.MonkeyPatch) -> None:
    """Whether a chunk was settled before is not asked: after a lost answer it is written again."""

    def forgetful(*args: Any) -> Standing:
        judge(*args)
        return Standing.DUE

    patch.setattr(JUDGE, forgetful)


def progress_first(patch: pytest.MonkeyPatch) -> None:
    """The ledger moves in a transaction of its own, before the rows are written."""
    settle = MemoryStorage.settle

    def settle_twice(self: MemoryStorage, processed: Processed, report: Outcomes) -> None:
        with self.database.transaction(self.client) as transaction:
            its_progress = MemoryProgress(transaction)
            if not its_progress.begin(processed.chunk):
                return
            its_progress.finish(Chunk(processed.chunk.spans, (), processed.chunk.epochs), Outcomes())
        settle(self, processed, report)

    patch.setattr(MemoryStorage, "settle", settle_twice)


def claims_that_fence_nobody(patch: pytest.MonkeyPatch) -> None:
    """The epoch stays as it is when a partition is claimed."""
    claim = MemoryLedger.claim

    def claim_quietly(self: MemoryLedger, starts: Any) -> Any:
        claimed = claim(self, starts)
        for source, line in self._transaction.new.lines.items():
            line.epoch = 1
            claimed[source] = line.position
        return claimed

    patch.setattr(MemoryLedger, "claim", claim_quietly)


def revokes_that_do_not_drain(patch: pytest.MonkeyPatch) -> None:
    """Partitions are let go with chunks in flight."""
    patch.setattr(Lane, "drain", lambda *_: set())


def leftovers_taken_in(patch: pytest.MonkeyPatch) -> None:
    """Records that follow an earlier seek are taken for those of the latest."""
    patch.setattr(Intake, "_current", lambda self, source, generation: self.partitions.active(source))


def unsettled_offsets_committed(patch: pytest.MonkeyPatch) -> None:
    """The broker is told of what was taken in, not of what is settled."""
    hand_over = Intake._put

    def hasty(self: Intake, partition: Partition, *args: Any) -> None:
        hand_over(self, partition, *args)
        partition.settled = partition.position

    patch.setattr(Intake, "_put", hasty)


def whole_chunk_dropped_when_fenced(patch: pytest.MonkeyPatch) -> None:
    """A chunk of which one partition is fenced loses the others too."""
    patch.setattr(Processed, "without", lambda self, sources: self if not sources else _nothing(self))


def _nothing(processed: Processed) -> Processed:
    return Processed(processed.chunk.without(processed.chunk.spans), (), Outcomes())


def outages_given_up(patch: pytest.MonkeyPatch) -> None:
    """After an error of the database the chunk is dropped and the next one tried."""
    run = Holder.run

    def once(self: Holder, work: Callable[[], Any], what: str, wanted: Any = lambda: True, **more: Any) -> Any:
        return run(self, work, what, lambda: wanted() and not what.startswith("writing"), **more)

    patch.setattr(Holder, "run", once)


def started_where_the_broker_says(patch: pytest.MonkeyPatch) -> None:
    """A partition goes on where the broker says, not where the ledger does."""
    start = Claims.start

    def start_at_commit(self: Claims, partitions: list[Partition]) -> None:
        for partition in partitions:
            if partition.hold is Hold.CLAIMING:
                offset = self._source.committed([partition.source]).get(partition.source)
                partition.position = offset.offset if offset else partition.position
        start(self, partitions)

    patch.setattr(Claims, "start", start_at_commit)


def repeats_counted_again(patch: pytest.MonkeyPatch) -> None:
    """Records that were counted when first received are counted with each replay."""
    tallies = Outcomes.tallies
    patch.setattr(Outcomes, "tallies", lambda self, sources, counted_to: tallies(self, sources, {}))


def fenced_partitions_given_up(patch: pytest.MonkeyPatch) -> None:
    """A partition that somebody else has claimed is never claimed again, though the group says it is ours."""
    patch.setattr(Results, "fenced", lambda self, chunk, sources: None)


def partitions_begun_before_the_other_lane_is_done(patch: pytest.MonkeyPatch) -> None:
    """A lane that takes a partition over does not wait for what is in flight of it in the lane that gave it."""
    patch.setattr(Backlog, "withhold", lambda *_: None)


def orders_outweighed_by_room(patch: pytest.MonkeyPatch) -> None:
    """What an operator has paused is resumed when there is room again."""
    patch.setattr(Partition, "may_be_resumed", property(lambda self: self.paused and self.hold is Hold.ACTIVE))


SABOTAGES: dict[str, Sabotage] = {
    each.__name__: each
    for each in (
        no_fencing,
        no_look_for_settled_chunks,
        progress_first,
        claims_that_fence_nobody,
        revokes_that_do_not_drain,
        leftovers_taken_in,
        unsettled_offsets_committed,
        whole_chunk_dropped_when_fenced,
        outages_given_up,
        started_where_the_broker_says,
        repeats_counted_again,
        fenced_partitions_given_up,
        partitions_begun_before_the_other_lane_is_done,
        orders_outweighed_by_room,
    )
}
