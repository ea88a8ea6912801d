"""Moving a group: replay or skip, by writing the ledger, which is what decides where reading goes on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F

from consumers.core.records import TopicPartition
from consumers.ledger import Ledger
from consumers.models import Control, PartitionLedger, PositionMove
from consumers.orders import order_seek


@dataclass(frozen=True)
class Move:
    """A partition's position before and after. `before` is None if the group has never read it; `counted_to` is how
    far its records have been counted."""

    source: TopicPartition
    before: int | None
    after: int
    counted_to: int

    @property
    def again(self) -> int:
        """Offsets that will be read again."""
        return 0 if self.before is None else max(0, self.before - self.after)

    @property
    def skipped(self) -> int:
        """Offsets that will not be read."""
        return 0 if self.before is None else max(0, self.after - self.before)

    @property
    def passed_over(self) -> int:
        """Offsets that have not been counted and, after the move, never will be."""
        return max(0, self.after - self.counted_to)

    def __str__(self) -> str:
        before = "never read" if self.before is None else str(self.before)
        effect = f", {self.again} read again" if self.again else f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.source}: {before} -> {self.after}{effect}"


def plan(ledger: Ledger, targets: Iterable[tuple[TopicPartition, int]]) -> list[Move]:
    """What moving these partitions to these offsets would do."""
    wanted = dict(targets)
    lines = ledger.lines(wanted)
    moves = []
    for source, offset in sorted(wanted.items()):
        line = lines.get(source)
        before, counted_to = (line.next_offset, line.counted_to) if line else (None, offset)
        moves.append(Move(source, before, offset, counted_to))
    return moves


def apply(ledger: Ledger, moves: Sequence[Move], by: str, reason: str = "") -> list[Control]:
    """Move the ledger, fencing any member that still reads these partitions, and record who did it. Members that read
    orders hear of it at once, by those that are returned, one for each topic; others when they next write.

    What was counted stays counted: records read again are not counted twice.
    """
    with transaction.atomic(using=ledger.using):
        ledger.claim({move.source: move.after for move in moves})
        for move in moves:
            _move_line(ledger, move)
        PositionMove.objects.using(ledger.using).bulk_create(
            PositionMove(
                group=ledger.group,
                topic=move.source.topic,
                partition=move.source.partition,
                from_offset=move.before,
                to_offset=move.after,
                passed_over=move.passed_over,
                moved_by=by,
            )
            for move in moves
        )
        topics = sorted({move.source.topic for move in moves})
        return [
            order_seek(ledger.using, ledger.group, topic, _told(moves, topic), by=by, reason=reason) for topic in topics
        ]


def _told(moves: Sequence[Move], topic: str) -> dict[int, tuple[int | None, int]]:
    return {move.source.partition: (move.before, move.after) for move in moves if move.source.topic == topic}


def _move_line(ledger: Ledger, move: Move) -> None:
    line = PartitionLedger.objects.using(ledger.using).filter(
        group=ledger.group, topic=move.source.topic, partition=move.source.partition
    )
    untouched = line.filter(start_offset=F("counted_to"), start_offset__gt=move.after)
    if untouched.update(start_offset=move.after, counted_to=move.after, next_offset=move.after):
        return
    line.update(
        next_offset=move.after,
        counted_to=F("counted_to") + move.passed_over,
        missing=F("missing") + move.passed_over,
    )
