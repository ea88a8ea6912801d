"""Whose turn it is, and whether a chunk was settled before."""

from __future__ import annotations

import pytest

from consumers.core.chunks import Span
from consumers.core.errors import BooksDoNotBalance, Fenced
from consumers.core.ledger import Position, Standing, judge
from consumers.core.records import TopicPartition

A, B = TopicPartition("a", 0), TopicPartition("a", 1)


@pytest.mark.parametrize(
    ("offsets", "standing"),
    [
        ({A: 10}, Standing.DUE),
        ({A: 15}, Standing.SETTLED),  # COMMIT took, the answer was lost
        ({A: 10, B: 10}, Standing.DUE),
        ({A: 15, B: 15}, Standing.SETTLED),
    ],
)
def test_a_chunk_is_due_at_its_start_and_settled_at_its_end(
    offsets: dict[TopicPartition, int], standing: Standing
) -> None:
    ledger = {source: Position(3, offset, 0) for source, offset in offsets.items()}
    spans = {source: Span(10, 15) for source in offsets}
    assert judge(ledger, spans, dict.fromkeys(offsets, 3)) is standing


@pytest.mark.parametrize(
    "offsets",
    [{A: 9}, {A: 12}, {A: 16}, {A: 10, B: 15}],
    ids=["before the start", "in the middle", "past the end", "one at the start and one at the end"],
)
def test_a_chunk_that_does_not_join_on_stops_the_consumer(offsets: dict[TopicPartition, int]) -> None:
    ledger = {source: Position(3, offset, 0) for source, offset in offsets.items()}
    with pytest.raises(BooksDoNotBalance, match="does not join on"):
        judge(ledger, {source: Span(10, 15) for source in offsets}, dict.fromkeys(offsets, 3))


@pytest.mark.parametrize(
    ("ledger", "epochs"),
    [
        ({A: Position(4, 10, 0)}, {A: 3}),
        ({A: Position(2, 10, 0)}, {A: 3}),
        ({A: Position(4, 15, 0)}, {A: 3}),
        ({}, {A: 3}),
        ({A: Position(3, 10, 0)}, {}),
    ],
    ids=["a later epoch", "an earlier epoch", "settled by another", "no line", "no claim"],
)
def test_another_epoch_fences(ledger: dict[TopicPartition, Position], epochs: dict[TopicPartition, int]) -> None:
    with pytest.raises(Fenced) as caught:
        judge(ledger, {A: Span(10, 15)}, epochs)
    assert caught.value.sources == {A}


def test_a_fence_names_only_the_partitions_at_fault() -> None:
    ledger = {A: Position(3, 10, 0), B: Position(9, 10, 0)}
    with pytest.raises(Fenced) as caught:
        judge(ledger, {A: Span(10, 15), B: Span(10, 15)}, {A: 3, B: 3})
    assert caught.value.sources == {B}


def test_a_chunk_of_failed_records_has_no_partition_to_judge() -> None:
    assert judge({}, {}, {}) is Standing.DUE
