"""Numbers and spans of time as the console writes them, and what orders cover."""

from __future__ import annotations

from datetime import timedelta

import pytest

from consumers.core.orders import Pauses
from consumers.core.records import TopicPartition
from consumers.engine.events import Events
from consumers.reporting.snapshot import storable
from consumers.templatetags.console import number, percent, span


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "unknown"), (0, "0"), (0.25, "0.2"), (9.0, "9"), (1234567, "1,234,567"), (12.7, "13"), (-3.5, "-3.5")],
)
def test_numbers_have_commas_and_small_ones_a_digit_behind_the_point(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (0.04, "0.0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (61.2, "1 min 1 s"),
        (3_600, "1 h"),
        (timedelta(hours=25, minutes=59), "1 d 1 h"),
    ],
)
def test_spans_are_told_in_their_two_largest_units(value: timedelta | float | None, text: str) -> None:
    assert span(value) == text


@pytest.mark.parametrize(("share", "text"), [(0.0, "0 %"), (0.004, "under 1 %"), (0.5, "50 %"), (1.0, "100 %")])
def test_shares_are_told_in_percent(share: float, text: str) -> None:
    assert percent(share) == text


def test_a_pause_covers_its_partition_or_all_of_its_topic() -> None:
    pauses = Pauses(frozenset({"a"}), frozenset({TopicPartition("b", 1)}))
    covered = [TopicPartition(topic, each) for topic in "abc" for each in (0, 1)]
    assert [str(source) for source in covered if pauses.covers(source)] == ["a[0]", "a[1]", "b[1]"]


def test_events_are_taken_once_and_the_oldest_forgotten_when_nobody_takes_them() -> None:
    events = Events()
    for each in range(1_000):
        events.add("limit", str(each))
    taken = events.take()
    assert len(taken) < 1_000
    assert taken[-1].text == "999"
    assert events.take() == []


def test_text_for_the_database_has_neither_nul_nor_halves_of_characters() -> None:
    assert storable("a\0b\ud800c") == "ab?c"
