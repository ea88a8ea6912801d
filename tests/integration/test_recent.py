"""Rows kept for a stated time: a change is missed for no longer, a new row never."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from ads.models import Advertiser
from consumers.api import RecentRows
from consumers.concurrency import Clock, Event, use_clock

pytestmark = pytest.mark.django_db


class ByHand(Clock):
    """Shows what a test sets."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wait(self, event: Event, seconds: float) -> bool:
        raise AssertionError("nothing here waits")


@pytest.fixture
def clock() -> Iterator[ByHand]:
    clock = ByHand()
    with use_clock(clock):
        yield clock


def named(rows: RecentRows[Advertiser], *ids: int) -> dict[object, str]:
    return {pk: row.name for pk, row in rows.in_bulk(ids).items()}


@pytest.fixture
def pair() -> tuple[int, int]:
    return Advertiser.objects.create(name="a").pk, Advertiser.objects.create(name="b").pk


def test_a_row_is_fetched_once_within_its_time(pair: tuple[int, int], clock: ByHand) -> None:
    rows = RecentRows(Advertiser.objects.all(), max_age=1.0)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        for _ in range(5):
            assert named(rows, *pair) == {pair[0]: "a", pair[1]: "b"}
            clock.now += 0.15
    assert len(queries) == 1


def test_a_change_is_seen_once_the_time_is_up(pair: tuple[int, int], clock: ByHand) -> None:
    rows = RecentRows(Advertiser.objects.all(), max_age=1.0)
    named(rows, pair[0])
    Advertiser.objects.update(name="changed")
    clock.now += 0.7
    assert named(rows, *pair) == {pair[0]: "a", pair[1]: "changed"}
    clock.now += 0.4
    assert named(rows, *pair) == {pair[0]: "changed", pair[1]: "changed"}


def test_a_row_that_was_missing_is_looked_for_every_time(clock: ByHand) -> None:
    rows = RecentRows(Advertiser.objects.all())
    assert named(rows, 77) == {}
    Advertiser.objects.create(pk=77, name="late")
    assert named(rows, 77) == {77: "late"}


def test_a_row_that_was_deleted_is_gone_once_the_time_is_up(pair: tuple[int, int], clock: ByHand) -> None:
    rows = RecentRows(Advertiser.objects.all(), max_age=1.0)
    named(rows, pair[0])
    Advertiser.objects.filter(pk=pair[0]).delete()
    clock.now += 1.1
    assert named(rows, pair[0]) == {}


def test_what_is_kept_is_bounded(clock: ByHand) -> None:
    ids = [Advertiser.objects.create(name=str(n)).pk for n in range(6)]
    rows = RecentRows(Advertiser.objects.all(), size=4)
    for start in range(0, 6, 2):
        named(rows, *ids[start : start + 2])
    assert len(rows._kept) <= 4
    assert named(rows, *ids) == {pk: str(n) for n, pk in enumerate(ids)}


def test_one_chunk_fetches_ahead_of_time_while_others_use_what_is_kept(pair: tuple[int, int], clock: ByHand) -> None:
    rows = RecentRows(Meanwhile(Advertiser), max_age=1.0)
    named(rows, pair[0])
    clock.now += 0.8
    asked: list[dict[object, str]] = []
    with CaptureQueriesContext(connection) as queries:
        Meanwhile.then = lambda: asked.append(named(rows, pair[0]))
        assert named(rows, pair[0]) == {pair[0]: "a"}
    assert asked == [{pair[0]: "a"}]
    assert len(queries) == 1


class Meanwhile(QuerySet[Advertiser]):
    """Does something while a query runs."""

    then: ClassVar[Callable[[], None] | None] = None

    def in_bulk(self, *args: Any, **named: Any) -> dict[Any, Advertiser]:
        then, Meanwhile.then = Meanwhile.then, None
        if then:
            then()
        return super().in_bulk(*args, **named)
