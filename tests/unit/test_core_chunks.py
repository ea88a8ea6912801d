"""From backlog to chunks: laws that hold for whatever waits and whatever the limits."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.core.chunks import Backlog, Chunk, Run, Span, gaps
from consumers.core.policies import BatchPolicy
from consumers.core.records import Record, TopicPartition

A, B = TopicPartition("a", 0), TopicPartition("b", 3)


def record(source: TopicPartition, offset: int, size: int = 1) -> Record:
    return Record(source, offset, b"x" * size)


def run(source: TopicPartition, start: int, *sizes: int, gap: int = 0) -> Run:
    """A run whose records are `gap` offsets apart from each other, and from the end of the span."""
    step = gap + 1
    records = tuple(record(source, start + number * step, size) for number, size in enumerate(sizes))
    return Run(source, Span(start, start + max(1, len(sizes) * step)), records)


@st.composite
def backlogs(draw: st.DrawFn) -> list[Run]:
    """Runs of some partitions as they may wait: each starts where the last of its partition ended; some are empty."""
    ends: dict[TopicPartition, int] = defaultdict(int)
    runs = []
    for source in draw(st.lists(st.sampled_from([A, B, TopicPartition("a", 1)]), max_size=8)):
        sizes = draw(st.lists(st.integers(0, 12), max_size=8))
        runs.append(run(source, ends[source], *sizes, gap=draw(st.integers(0, 2))))
        ends[source] = runs[-1].span.end
    return runs


policies = st.builds(
    BatchPolicy,
    chunk_records=st.integers(min_value=1, max_value=10),
    chunk_bytes=st.integers(min_value=1, max_value=30),
)


def take_all(runs: list[Run], policy: BatchPolicy) -> list[Chunk]:
    backlog = Backlog()
    for each in runs:
        backlog.put(each)
    chunks = []
    while (chunk := backlog.take(policy)) is not None:
        chunks.append(chunk)
    assert (backlog.records, backlog.size) == (0, 0)
    return chunks


@given(backlogs(), policies)
def test_no_chunk_exceeds_the_limits_but_a_single_record(runs: list[Run], policy: BatchPolicy) -> None:
    for chunk in take_all(runs, policy):
        assert len(chunk.records) <= policy.chunk_records
        assert len(chunk.records) == 1 or sum(r.size for r in chunk.records) <= policy.chunk_bytes


@given(backlogs(), policies)
def test_nothing_is_lost_doubled_or_reordered(runs: list[Run], policy: BatchPolicy) -> None:
    taken = [each for chunk in take_all(runs, policy) for each in chunk.records]
    assert taken == [each for one in runs for each in one.records]


@given(backlogs(), policies)
def test_the_spans_of_a_partition_join_without_a_gap(runs: list[Run], policy: BatchPolicy) -> None:
    ends: dict[TopicPartition, int] = defaultdict(int)
    for chunk in take_all(runs, policy):
        for source, span in chunk.spans.items():
            assert span.start == ends[source]
            ends[source] = span.end
    assert ends == {each.source: each.span.end for each in runs}


@given(backlogs(), policies)
def test_every_record_lies_in_the_span_of_its_chunk(runs: list[Run], policy: BatchPolicy) -> None:
    for chunk in take_all(runs, policy):
        assert all(chunk.spans[r.source].start <= r.offset < chunk.spans[r.source].end for r in chunk.records)


@given(st.lists(st.integers(0, 9), min_size=2, max_size=9), st.integers(0, 3), st.data())
def test_a_split_run_joins_to_what_it_was(sizes: list[int], gap: int, data: st.DataObject) -> None:
    whole = run(A, 5, *sizes, gap=gap)
    count = data.draw(st.integers(1, len(sizes) - 1))
    head, tail = whole.split(count)
    assert head.records + tail.records == whole.records
    assert (len(head.records), head.span.start, head.span.end, tail.span.end) == (
        count,
        5,
        tail.span.start,
        whole.span.end,
    )
    assert head.records[-1].offset < head.span.end <= tail.records[0].offset


@given(backlogs())
def test_a_backlog_weighs_what_waits(runs: list[Run]) -> None:
    backlog = Backlog()
    for each in runs:
        backlog.put(each)
    records = [each for one in runs for each in one.records]
    assert (backlog.records, backlog.size) == (len(records), sum(r.size for r in records))


def test_nothing_of_a_partition_that_is_withheld_is_taken_before_its_release() -> None:
    backlog, policy = Backlog(), BatchPolicy(chunk_records=2)
    backlog.withhold(A)
    for each in (run(A, 0, 1), run(B, 0, 1), run(A, 1, 1, 1)):
        backlog.put(each)
    assert (backlog.records, backlog.size, backlog.waiting()) == (4, 4, {B: 1})
    assert backlog.holds(A)
    assert [chunk.spans for chunk in iter(lambda: backlog.take(policy), None)] == [{B: Span(0, 1)}]
    backlog.release(A)
    assert [chunk.spans for chunk in iter(lambda: backlog.take(policy), None)] == [{A: Span(0, 2)}, {A: Span(2, 3)}]
    assert (backlog.records, backlog.size) == (0, 0)


def test_what_is_dropped_is_withheld_no_more() -> None:
    backlog = Backlog()
    backlog.withhold(A)
    runs = [run(A, 0, 1), run(A, 1, 2)]
    for each in (*runs, run(B, 0, 4)):
        backlog.put(each)
    backlog.drop([A])
    assert (backlog.records, backlog.size) == (1, 4)
    backlog.put(runs[0])
    assert backlog.waiting() == {A: 1, B: 1}


def test_what_is_moved_waits_in_the_other_backlog_in_its_order() -> None:
    one, other = Backlog(), Backlog()
    runs = [run(A, 0, 1), run(A, 1, 2)]
    for each in (runs[0], run(B, 0, 4), runs[1]):
        one.put(each)
    one.move(A, other)
    assert ([each.run for each in other.runs], one.waiting()) == (runs, {B: 1})
    assert (one.records, one.size, other.records, other.size) == (1, 4, 2, 3)


def test_nothing_waits_in_an_empty_backlog() -> None:
    assert Backlog().take(BatchPolicy()) is None


def test_a_record_over_the_limit_in_bytes_is_a_chunk_of_its_own() -> None:
    chunks = take_all([run(A, 0, 2, 50, 2)], BatchPolicy(chunk_bytes=10))
    assert [[r.offset for r in chunk.records] for chunk in chunks] == [[0], [1], [2]]


def test_empty_offsets_alone_make_a_chunk_that_moves_the_ledger() -> None:
    [chunk] = take_all([run(A, 7)], BatchPolicy())
    assert (chunk.records, chunk.spans) == ((), {A: Span(7, 8)})


def test_a_dropped_partition_leaves_the_others_waiting() -> None:
    backlog = Backlog()
    for each in (run(A, 0, 1, 1), run(B, 0, 5), run(A, 2, 1)):
        backlog.put(each)
    backlog.drop([A])
    assert (backlog.records, backlog.size, backlog.holds(A), backlog.holds(B)) == (1, 5, False, True)


def test_a_chunk_without_a_partition_keeps_the_others() -> None:
    chunk = Chunk.of([run(A, 0, 1, 1), run(B, 4, 1)]).without([A])
    assert chunk.spans == {B: Span(4, 5)}
    assert [r.source for r in chunk.records] == [B]


def test_a_chunk_keeps_the_epoch_under_which_each_partition_was_read() -> None:
    chunk = Chunk.of([run(A, 0, 1)._replace(epoch=3), run(B, 0, 1)._replace(epoch=8)])
    assert chunk.epochs == {A: 3, B: 8}


def test_gaps_are_two_offsets_or_more_without_a_record() -> None:
    records = [record(A, offset) for offset in (2, 3, 5, 8, 17)]
    assert gaps({A: Span(0, 20), B: Span(5, 9)}, records) == {A: [(0, 2), (6, 8), (9, 17), (18, 20)], B: [(5, 9)]}


def test_single_offsets_without_a_record_are_no_gaps() -> None:
    assert gaps({A: Span(3, 11)}, [record(A, offset) for offset in (4, 5, 7, 8, 9)]) == {}


def test_a_chunk_says_what_it_holds() -> None:
    assert str(Chunk.of([run(A, 0, 1, 1)])) == "2 records of a[0]@0-1"


@pytest.mark.parametrize("name", ["max_records", "max_bytes", "chunk_records", "chunk_bytes"])
def test_a_limit_below_one_is_refused_by_name(name: str) -> None:
    with pytest.raises(Exception, match=name):
        BatchPolicy(**{name: 0})
