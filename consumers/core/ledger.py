"""The ledger's arithmetic: whose turn it is, and whether a chunk was settled before."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from consumers.core.chunks import Span
from consumers.core.errors import BooksDoNotBalance, Fenced
from consumers.core.records import TopicPartition


class Position(NamedTuple):
    """A partition's line in the ledger, without its counts."""

    epoch: int
    next_offset: int
    counted_to: int


class Standing(Enum):
    """What the ledger says of a chunk that is about to be written."""

    DUE = "due"
    SETTLED = "settled"


def judge(
    ledger: Mapping[TopicPartition, Position],
    spans: Mapping[TopicPartition, Span],
    epochs: Mapping[TopicPartition, int],
) -> Standing:
    """Compare a chunk's spans with the ledger's lines, read under lock.

    SETTLED is the answer to a connection lost in COMMIT: the commit took, although nobody heard of it.

    Raises:
        Fenced: the epoch of some partitions is not ours any more (they are named).
        BooksDoNotBalance: the chunk neither starts where the ledger stands nor ends there.
    """
    fenced = [s for s in spans if s not in ledger or ledger[s].epoch != epochs.get(s)]
    if fenced:
        raise Fenced(fenced)
    if all(ledger[source].next_offset == span.start for source, span in spans.items()):
        return Standing.DUE
    if all(ledger[source].next_offset == span.end for source, span in spans.items()):
        return Standing.SETTLED
    detail = ", ".join(f"{s}: ledger at {ledger[s].next_offset}, chunk {spans[s]}" for s in spans)
    raise BooksDoNotBalance(f"a chunk does not join on to the ledger: {detail}")
