"""A benchmark compares only those who did the same work."""

from benchmarks.rounds import disagreements
from benchmarks.trial import Trial


def trial(contender: str, rows: int, records: int = 1_000, error: str = "") -> Trial:
    return Trial("clean", contender, 1, records, rows=rows, error=error)


def test_contenders_that_wrote_the_same_rows_agree() -> None:
    assert disagreements([trial("ours", 990), trial("hand", 990), trial("naive", 50, records=50)]) == []


def test_a_contender_that_wrote_other_rows_is_named() -> None:
    [said] = disagreements([trial("ours", 990), trial("hand", 1_000)])
    assert "ours wrote 990" in said
    assert "hand wrote 1,000" in said


def test_one_that_failed_is_not_compared() -> None:
    assert disagreements([trial("ours", 990), trial("hand", 0, error="it fell over")]) == []
