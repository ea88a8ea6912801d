"""The books: each record has exactly one outcome, or the consumer stops."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.core.errors import BooksDoNotBalance
from consumers.core.outcomes import Failure, Outcomes, Tally
from consumers.core.records import Record, TopicPartition

A, B = TopicPartition("a", 0), TopicPartition("a", 1)


def record(offset: int, source: TopicPartition = A) -> Record:
    return Record(source, offset, b"v")


def failed(offset: int, source: TopicPartition = A) -> Failure:
    return failure_of(record(offset, source))


def failure_of(record: Record) -> Failure:
    return Failure(record=record, reason="invalid", message="no")


def books() -> tuple[list[Record], Outcomes]:
    """Four records of one partition, one of each outcome."""
    records = [record(offset) for offset in range(4)]
    return records, Outcomes([records[0]], [records[1]], [records[2]], [failure_of(records[3])])


def test_one_outcome_each_balances() -> None:
    records, outcomes = books()
    outcomes.balance(records)
    assert outcomes.tally() == Tally(received=4, written=1, duplicates=1, skipped=1, failed=1)


@pytest.mark.parametrize("kind", ["written", "duplicates", "skipped", "failures"])
def test_a_record_without_an_outcome_does_not_balance(kind: str) -> None:
    records, outcomes = books()
    getattr(outcomes, kind).clear()
    with pytest.raises(BooksDoNotBalance, match=r"4 records received.*first difference at a\[0\]@"):
        outcomes.balance(records)


@pytest.mark.parametrize("kind", ["written", "duplicates", "skipped"])
def test_a_record_with_two_outcomes_does_not_balance(kind: str) -> None:
    records, outcomes = books()
    getattr(outcomes, kind).append(records[3])
    with pytest.raises(BooksDoNotBalance, match=r"first difference at a\[0\]@3"):
        outcomes.balance(records)


def test_books_of_equal_records_balance_even_if_they_are_not_the_very_same() -> None:
    _, outcomes = books()
    outcomes.balance(reversed([record(offset) for offset in range(4)]))


def test_equal_numbers_do_not_hide_a_swapped_record() -> None:
    with pytest.raises(BooksDoNotBalance, match=r"first difference at a\[0\]@1"):
        Outcomes(written=[record(0), record(2)]).balance([record(0), record(1)])


def test_an_outcome_of_a_record_not_received_does_not_balance() -> None:
    with pytest.raises(BooksDoNotBalance, match=r"0 records received.*a\[0\]@7"):
        Outcomes(written=[record(7)]).balance([])


kinds = st.lists(st.sampled_from(["written", "duplicates", "skipped", "failures"]), max_size=20)


@given(kinds, st.integers(0, 20))
def test_only_what_is_first_received_is_counted(chosen: list[str], counted_to: int) -> None:
    outcomes = Outcomes()
    for offset, kind in enumerate(chosen):
        getattr(outcomes, kind).append(failed(offset) if kind == "failures" else record(offset))
    tally = outcomes.tallies([A], {A: counted_to} if counted_to else {})[A]
    assert tally.received == max(0, len(chosen) - counted_to)
    assert tally.received == tally.written + tally.duplicates + tally.skipped + tally.failed


def test_each_partition_has_its_own_count() -> None:
    outcomes = Outcomes(written=[record(0), record(0, B)], failures=[failed(1, B)])
    tallies = outcomes.tallies([A, B], {})
    assert (tallies[A].received, tallies[B].received, tallies[B].failed) == (1, 2, 1)


def test_outcomes_without_a_partition_keep_the_others() -> None:
    outcomes = Outcomes([record(0), record(0, B)], [record(1)], [record(2, B)], [failed(3), failed(3, B)])
    left = outcomes.without([A])
    left.balance([record(0, B), record(2, B), record(3, B)])


def written_rows() -> Outcomes:
    """Records of two partitions that became one row or several, and one that became none."""
    outcomes = Outcomes()
    outcomes.wrote(record(0), 3)
    outcomes.wrote(record(1), 1)
    outcomes.wrote(record(2), 0)
    outcomes.wrote_all([record(0, B), record(1, B)])
    outcomes.note_rows(record(1, B), 2)
    return outcomes


def test_the_new_rows_of_each_record_are_counted() -> None:
    outcomes = written_rows()
    assert [outcomes.rows_of(each) for each in outcomes.written] == [3, 1, 1, 2]
    assert outcomes.rows() == {A: 4, B: 3}


def test_a_record_without_a_new_row_is_a_duplicate() -> None:
    outcomes = written_rows()
    assert outcomes.written == [record(0), record(1), record(0, B), record(1, B)]
    assert outcomes.duplicates == [record(2)]


def test_a_partition_that_goes_takes_its_rows_with_it() -> None:
    assert written_rows().without([A]).rows() == {B: 3}


def test_outcomes_that_replace_others_bring_everything() -> None:
    records, outcomes = books()
    outcomes.wrote(record(7), 4)
    report = written_rows()
    report.replace(outcomes)
    assert report == outcomes
    report.balance([*records, record(7)])


def test_a_copy_leaves_the_original_as_it_was() -> None:
    records, outcomes = books()
    copy = outcomes.copy()
    assert copy == outcomes
    copy.wrote(record(9), 5)
    for kind in (copy.duplicates, copy.skipped, copy.failures):
        kind.clear()
    outcomes.balance(records)
    assert outcomes.rows() == {A: 1}


def test_tallies_add_up() -> None:
    total = Tally(4, 1, 1, 1, 1)
    total.add(Tally(received=2, written=2))
    assert total.as_dict() == {"received": 6, "written": 3, "duplicates": 1, "skipped": 1, "failed": 1}
