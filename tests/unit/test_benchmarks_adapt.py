"""The arithmetic of the adaptive experiment: turns are kept apart, and what the last one had begun is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.adapt_picture import draw
from benchmarks.adapt_report import BEGIN, END, SETTLING, Block, Findings, publish, tables


def findings() -> Findings:
    """Two settings under one load, ten seconds each: 100 rows per second, then 200; and a course before them."""
    blocks = [
        Block("course", "no load", "adaptive", 1_000.0, 1_010.0, 1.0),
        Block("comparison", "pgbench", "adaptive", 1_010.0, 1_020.0, 2.0),
        Block("comparison", "pgbench", "fixed 4", 1_020.0, 1_030.0, 2.0),
    ]
    notes, settled = [], 0
    for quarter in range(120):
        at = 1_000.0 + quarter / 4
        settled += 25 if at < 1_020 else 50
        move = "writers at once 2 to 3: why" if at >= 1_005 else ""
        limit = 3 if at < 1_020 else 4
        notes.append({"at": at, "settled": settled, "limit": limit, "chunk_records": 1_000, "last_move": move})
    latencies = [(1_000.0 + n / 10, 5.0 if n < 205 else 50.0) for n in range(300)]
    return Findings(blocks, notes, latencies, [each for each in latencies if each[0] >= 1_010])


def test_each_setting_has_its_own_rates_limits_and_neighbours() -> None:
    adaptive, fixed = findings().compared()
    assert (adaptive["rows_per_second"], fixed["rows_per_second"]) == (100, 200)
    assert (adaptive["limits"], fixed["limits"]) == ([3], [4])
    assert (adaptive["probe_ms"]["p95"], fixed["probe_ms"]["p95"]) == (5.0, 50.0)
    assert (adaptive["to_adaptive"], fixed["to_adaptive"]) == (1.0, 2.0)
    assert adaptive["pgbench_tps"] == pytest.approx(10, rel=0.05)


def test_what_was_begun_under_the_last_setting_does_not_count() -> None:
    """The first transactions of the second turn still take 5 ms."""
    found = findings()
    [block] = found.of("comparison", setting="fixed 4")
    assert min(found.waits([block], found.probe)) == 50.0
    assert all(note["at"] >= block.started + SETTLING for note in found.within(block))


def test_a_move_is_told_once_with_its_second() -> None:
    assert findings().moves() == [{"at": 5.0, "move": "writers at once 2 to 3: why"}]


def test_the_course_is_kept_without_what_came_after_it() -> None:
    course = findings().document()["course"]
    assert (course[0]["at"], course[-1]["at"]) == (0.0, 10.0)


def test_tables_have_a_line_for_each_setting() -> None:
    text = tables(findings().compared())
    assert "| rows per second | pgbench |\n| --- | ---: |\n| adaptive | 100 |\n| fixed 4 | 200 |" in text


def test_the_picture_shows_the_course_and_every_rate() -> None:
    picture = draw(findings())
    assert picture.count("<polyline") == 4
    assert "pgbench: fixed 4" in picture
    assert picture.startswith("<svg ")


def test_tables_are_put_between_the_marks_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    publish(page, "new")
    assert page.read_text() == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"


def test_a_page_without_the_marks_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing here")
    with pytest.raises(ValueError, match=r"page.md has no place for the tables"):
        publish(page, "new")
