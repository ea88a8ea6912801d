"""The accounts of a world: what is stored, held against what was sent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from consumers.core.records import TopicPartition
from tests.simulation.database import Place

if TYPE_CHECKING:
    from tests.simulation.world import World

OUTCOMES = {
    "good": {"written", "duplicates"},
    "slow": {"written", "duplicates"},
    "repeat": {"written", "duplicates"},
    "garbage": {"failed"},
    "tombstone": {"skipped"},
    "skip": {"skipped"},
    "orphan": {"failed", "written", "duplicates"},
}
KINDS = tuple(OUTCOMES)
_REASONS = {"garbage": "undecodable", "orphan": "unknown_parent"}


class Books:
    """Looks after each step at what has become true since the last."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tables = world.database.tables
        self._counted = 0
        self._times: Counter[Place] = Counter()
        self._by_source: Counter[tuple[TopicPartition, str]] = Counter()
        self._last: dict[Place, str] = {}
        self._reached: dict[TopicPartition, int] = {}
        self._highest: Counter[TopicPartition] = Counter()
        self.moves: dict[TopicPartition, int] = {}

    def moved(self, source: TopicPartition, to: int) -> None:
        self._reached[source] = to
        self.moves[source] = to

    def are_closed(self) -> bool:
        return not self.open()

    def open(self) -> dict[str, int]:
        """How many offsets of each partition are not settled."""
        log, lines = self._world.log, self._tables.lines
        left = {s: log.next[s] - (lines[s].next_offset if s in lines else 0) for s in log.partitions}
        return {str(source): count for source, count in left.items() if count}

    def check(self) -> None:
        self._count()
        for source in self._tables.lines:
            self._check_line(source)
        self._check_commits()

    def _count(self) -> None:
        """What was settled since the last look: no record oftener than it was read, no key by two records."""
        fresh = self._tables.settled[self._counted :]
        self._counted += len(fresh)
        for where, what in fresh:
            self._times[where] += 1
            assert self._times[where] <= self._world.allows(where), f"{where} was settled twice"
            if self._times[where] == 1:
                self._by_source[where.source, what] += 1
            self._last[where] = what
        writers = set(self._tables.rows.values())
        for where, what in fresh:
            assert what != "written" or where in writers, f"{where} counts as written, but another record wrote its key"
            assert not (where in writers and where in self._tables.failed), f"{where} is both written and failed"

    def _check_line(self, source: TopicPartition) -> None:
        line = self._tables.lines[source]
        tally = line.tally
        parts = tally.written + tally.duplicates + tally.skipped + tally.failed
        assert tally.received == parts, f"{source}: {tally} do not balance"
        assert line.counted_to == line.start_offset + tally.received + line.missing, f"{source}: {line} does not cover"
        counts = {what: self._by_source[source, what] for what in ("written", "duplicates", "skipped", "failed")}
        assert tally.as_dict() == {"received": parts, **counts}, f"{source}: {tally}, but {counts} were settled"
        reached = self._reached.get(source, line.start_offset)
        assert line.next_offset >= reached, f"{source}: the ledger went back from {reached} to {line.next_offset}"
        for record in self._world.log.partitions[source]:
            if reached <= record.offset < line.next_offset:
                assert self._times[Place(source, record.offset)], (
                    f"the ledger has passed {record}, which is not settled"
                )
        self._reached[source] = line.next_offset
        self._highest[source] = max(self._highest[source], line.next_offset)

    def _check_commits(self) -> None:
        for (_, source), (offset, _) in self._world.log.committed.items():
            assert offset <= self._highest[source], f"{source}@{offset} is committed to the broker, but not settled"

    def check_outcomes(self) -> None:
        """At the end: each record settled, as its kind must be, and each event stored once."""
        for where, kind in self._world.sent.items():
            assert self._last.get(where) in OUTCOMES[kind], f"{where}, {kind}, ended as {self._last.get(where)}"
            reason = self._tables.failed.get(where)
            assert reason == (_REASONS[kind] if self._last[where] == "failed" else None), f"{where} failed: {reason}"
        writers = Counter(where for where, what in self._tables.settled if what == "written")
        assert set(writers) == set(self._tables.rows.values())
        assert set(writers.values()) <= {1}, "a row was written twice"
