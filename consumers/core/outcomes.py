"""What became of records. Every record ends as exactly one of written, duplicate, skipped or failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from operator import is_

import msgspec

from consumers.core.errors import BooksDoNotBalance
from consumers.core.records import Record, TopicPartition, by_source

Position = tuple[TopicPartition, int]


@dataclass
class Tally:
    """Counts of records by outcome."""

    received: int = 0
    written: int = 0
    duplicates: int = 0
    skipped: int = 0
    failed: int = 0

    def add(self, other: Tally) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a record could not become rows; `reason` is the code that operators filter by."""

    record: Record
    reason: str
    message: str
    exception: str = ""
    traceback: str = ""
    fingerprint: str = ""
    retry_after: float | None = None
    """Due again after so many seconds."""
    waits_for: str = ""
    """The row whose coming makes it due again."""
    key: str = ""
    """What its order is kept by, if it holds back later records."""


@dataclass
class Outcomes:
    """The books of one chunk."""

    written: list[Record] = field(default_factory=list)
    duplicates: list[Record] = field(default_factory=list)
    skipped: list[Record] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    more_rows: dict[tuple[TopicPartition, int], int] = field(default_factory=dict)
    """Of written records that became more than one new row: how many more."""

    def copy(self) -> Outcomes:
        return Outcomes([*self.written], [*self.duplicates], [*self.skipped], [*self.failures], {**self.more_rows})

    def wrote(self, record: Record, rows: int) -> None:
        """Note a record as written, with this many new rows; as a duplicate if there were none."""
        (self.written if rows else self.duplicates).append(record)
        self.note_rows(record, rows)

    def wrote_all(self, records: Iterable[Record]) -> None:
        """Note records as written, each with one new row; see `note_rows`."""
        self.written += records

    def note_rows(self, record: Record, rows: int) -> None:
        """How many new rows a written record became, if not one."""
        if rows > 1:
            self.more_rows[record.position] = rows - 1

    def rows_of(self, record: Record) -> int:
        """How many new rows a written record became."""
        return 1 + self.more_rows.get(record.position, 0)

    def rows(self) -> Counter[TopicPartition]:
        """New rows by partition."""
        rows = by_source(self.written)
        for (source, _), more in self.more_rows.items():
            rows[source] += more
        return rows

    def replace(self, other: Outcomes) -> None:
        """Become the same as another."""
        self.written, self.duplicates = other.written, other.duplicates
        self.skipped, self.failures, self.more_rows = other.skipped, other.failures, other.more_rows

    def balance(self, records: Iterable[Record]) -> None:
        """Check that each of `records` has exactly one outcome.

        Raises:
            BooksDoNotBalance: one has none, or several, or there is an outcome for a record not received.
        """
        received = list(records)
        settled = [record for _, kind in self._kinds() for record in kind]
        if len(settled) == len(received) and (
            all(map(is_, settled, received)) or set(map(id, settled)) == set(map(id, received))
        ):
            return  # the very same ones: no need to look at their positions
        self._compare_positions(sorted(r.position for r in received), sorted(r.position for r in settled))

    def _compare_positions(self, received: list[Position], settled: list[Position]) -> None:
        if received != settled:
            raise BooksDoNotBalance(
                f"the books do not balance: {len(received)} records received, but {len(self.written)} written + "
                f"{len(self.duplicates)} duplicates + {len(self.skipped)} skipped + {len(self.failures)} failed; "
                f"first difference at {_first_difference(received, settled)}"
            )

    def tally(self) -> Tally:
        counts = Tally(0, len(self.written), len(self.duplicates), len(self.skipped), len(self.failures))
        counts.received = counts.written + counts.duplicates + counts.skipped + counts.failed
        return counts

    def tallies(
        self, sources: Iterable[TopicPartition], counted_to: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, Tally]:
        """Counts for each partition; of one in `counted_to`, the records below that offset were counted when they were
        first received."""
        tallies = {source: Tally() for source in sources}
        for name, records in self._kinds():
            new = [r for r in records if r.offset >= counted_to.get(r.source, 0)] if counted_to else records
            for source, count in by_source(new).items():
                tallies[source].received += count
                setattr(tallies[source], name, count)
        return tallies

    def without(self, sources: Iterable[TopicPartition]) -> Outcomes:
        gone = frozenset(sources)
        return Outcomes(
            [r for r in self.written if r.source not in gone],
            [r for r in self.duplicates if r.source not in gone],
            [r for r in self.skipped if r.source not in gone],
            [f for f in self.failures if f.record.source not in gone],
            {position: more for position, more in self.more_rows.items() if position[0] not in gone},
        )

    def _kinds(self) -> Iterable[tuple[str, list[Record]]]:
        yield "written", self.written
        yield "duplicates", self.duplicates
        yield "skipped", self.skipped
        yield "failed", [failure.record for failure in self.failures]


def _first_difference(received: list[Position], settled: list[Position]) -> str:
    for one, other in zip(received, settled, strict=False):
        if one != other:
            source, offset = min(one, other)
            return f"{source}@{offset}"
    source, offset = max(received, settled, key=len)[min(len(received), len(settled))]
    return f"{source}@{offset}"
