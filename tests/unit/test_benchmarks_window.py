"""The benchmark's time: from the first commit to the last, whoever wrote the rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Figure, percentile
from benchmarks.window import FEWEST, Commit, TooShort, window


def steady(commits: int, rows: int, pause: float, since: float = 1_000.0) -> list[Commit]:
    return [Commit(since + number * pause, rows) for number in range(commits)]


@given(st.integers(FEWEST, 50), st.integers(1, 5_000), st.sampled_from([0.01, 0.1, 1.5]))
def test_even_commits_give_their_own_rate(commits: int, rows: int, pause: float) -> None:
    found = window(steady(commits, rows, pause))
    assert found.rate(commits * rows) == pytest.approx(rows / pause, rel=1e-6)


def test_rows_of_the_first_commit_are_not_counted_for_their_time_was_not_seen() -> None:
    found = window([Commit(10.0, 4_000), *steady(4, 1_000, 1.0, since=11.0)])
    assert (found.rows, found.total, found.seconds) == (4_000, 8_000, 4.0)


def test_records_that_became_no_row_count_in_the_rate() -> None:
    """Half of the records were repeats: the rate is that of the records."""
    found = window(steady(5, 500, 1.0))
    assert found.rate(5_000) == pytest.approx(1_000)


def test_the_window_opens_once_all_processes_are_at_work() -> None:
    found = window([Commit(1.0, 10), Commit(2.0, 10), *steady(5, 40, 1.0, since=3.0)], ready=1.5)
    assert (found.started, found.rows, found.total) == (2.0, 200, 220)


@pytest.mark.parametrize("commits", [[], steady(FEWEST - 1, 5, 1.0), steady(FEWEST, 5, 0.0)])
def test_a_few_commits_or_a_single_moment_make_no_rate(commits: list[Commit]) -> None:
    with pytest.raises(TooShort, match="--records"):
        window(commits)


def test_a_figure_is_a_median_with_its_spread() -> None:
    assert Figure.of([3.0, 1.0, 2.0]) == Figure(2.0, 1.0, 3.0)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)])
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(share: float, expected: int) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == expected


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)
