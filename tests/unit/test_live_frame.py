"""The live view's text: what it tells, and that it fits any terminal and nothing breaks out of it."""

from __future__ import annotations

import pytest

from consumers.management.frame import BAD, Rates, fit, frame, last_lines
from tests.snapshots import NOW, consumer, partition, process


def lines(*consumers: object, width: int = 100, colour: bool = False) -> list[str]:
    return frame(process(*consumers), {"clicks": 1234.0}, width, colour=colour)  # type: ignore[arg-type]


def test_it_tells_rates_outcomes_failures_lag_and_the_limiter() -> None:
    shown = "\n".join(lines(consumer(partitions=[partition(0, lag=5), partition(1, lag=70)], in_flight=40)))
    assert "clicks  group clicks  running" in shown
    assert "1,234/s  100 received, 90 written, 5 duplicates, 2 skipped, 3 failed" in shown
    assert "failed: invalid 2  unknown_campaign 1" in shown
    assert "in flight 40" in shown
    assert "lag 75: ads.clicks[1] 70  ads.clicks[0] 5" in shown
    assert "writers 1 of 2, at most 8" in shown
    assert "all 2 write and others wait" in shown


def test_partitions_that_have_no_room_are_counted() -> None:
    many = [partition(number, lag=9) for number in range(50)]
    [lag] = [line for line in lines(consumer(partitions=many), width=60) if "lag" in line]
    assert len(lag) <= 60
    assert lag.endswith("(+48 more)")


def test_an_outage_and_a_pause_are_shown() -> None:
    held = consumer(holding="writing 5 records: no route", partitions=[partition(lag=None, operator_paused=True)])
    shown = "\n".join(lines(held))
    assert "HELD UP writing 5 records: no route" in shown
    assert "ads.clicks[0] ? (paused by order)" in shown


def test_a_broker_that_is_away_is_shown() -> None:
    assert "! BROKER AWAY broker-1: refused" in lines(consumer(broker="broker-1: refused"))


@pytest.mark.parametrize("width", [10, 20, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    many = consumer(name="c" * 300, failed_by_reason={f"reason_{n}": n for n in range(30)}, holding="x" * 500)
    assert all(len(line) <= width for line in lines(many, width=width))


def test_wide_characters_count_for_two_cells() -> None:
    assert fit("漢字漢字", 5) == "漢字"
    assert fit("e\u0301x", 2) == "e\u0301x"


def test_colours_are_only_where_they_are_wanted() -> None:
    assert not any("\x1b" in line for line in lines())
    assert any(line.startswith(BAD) for line in lines(colour=True))


def test_data_cannot_move_the_cursor_or_break_a_line() -> None:
    hostile = "\x1b[2J\r\nforged\x07"
    shown = lines(consumer(failed_by_reason={hostile: 1}, holding=hostile, name=hostile, group=hostile))
    assert all(line.isprintable() for line in shown)


def test_a_rate_is_of_the_last_seconds() -> None:
    rates = Rates()
    assert rates.add(process(consumer(tally={"received": 1000}), at=NOW)) == {"clicks": 0.0}
    for second in range(1, 11):
        latest = rates.add(process(consumer(tally={"received": 1000 + 50 * second}), at=NOW + second))
    assert latest == {"clicks": 50.0}


def test_a_line_for_each_consumer_is_left() -> None:
    assert last_lines(process(consumer(), consumer(name="other")), 200) == [
        "clicks: 100 received, 90 written, 5 duplicates, 2 skipped, 3 failed (0/s)",
        "other: 100 received, 90 written, 5 duplicates, 2 skipped, 3 failed (0/s)",
    ]
