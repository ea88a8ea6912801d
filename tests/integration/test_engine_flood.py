"""When too much is bad, the consumer stops and nothing of that chunk is settled."""

from __future__ import annotations

import pytest

from consumers.core.errors import Flood
from consumers.core.flood import FloodPolicy
from consumers.core.policies import BatchPolicy
from consumers.models import FailedRecord
from tests.integration.engine import consume, counts, ledger
from tests.makers import order
from tests.orders import Order, OrderConsumer

pytestmark = pytest.mark.django_db

GUARD = FloodPolicy(window=20, ratio=0.5, run=10)


class Small(OrderConsumer):
    batch = BatchPolicy(max_wait=0, chunk_records=10)


def test_a_flood_stops_the_consumer_with_nothing_of_the_chunk_settled() -> None:
    with pytest.raises(Flood, match=r"10 records in a row failed on orders; nothing of this chunk is settled"):
        consume(Small, *(order() for _ in range(10)), *[b"{"] * 10, flood=GUARD, flood_guard=True)
    assert ledger() == {"next_offset": 10, "received": 10, "written": 10}
    assert not FailedRecord.objects.exists()


def test_a_flood_over_several_chunks_is_seen_and_what_came_before_it_stays_settled() -> None:
    with pytest.raises(Flood, match=r"30 records in a row failed on orders"):
        consume(Small, *[b"{"] * 30, flood=FloodPolicy(window=100, run=25), flood_guard=True)
    assert ledger() == {"next_offset": 20, "received": 20, "failed": 20}


def test_a_flood_of_rows_that_the_table_refuses_leaves_no_row_of_the_chunk() -> None:
    with pytest.raises(Flood, match="constraint"):
        consume(
            Small,
            *(order(quantity=0) for _ in range(10)),
            flood=FloodPolicy(window=10, run=10),
            flood_guard=True,
        )
    assert not Order.objects.exists()
    assert not FailedRecord.objects.exists()
    assert ledger() == {}


def test_a_flood_that_is_mended_goes_on_where_it_stopped() -> None:
    values = [*(order() for _ in range(5)), *[b"{"] * 10]
    with pytest.raises(Flood):
        consume(Small, *values, flood=FloodPolicy(window=15, ratio=0.5, run=5), flood_guard=True)
    assert counts(consume(Small, *values, flood_guard=False))["failed"] >= 5
    assert ledger() == {"next_offset": 15, "received": 15, "written": 5, "failed": 10}


def test_a_guard_that_is_off_stores_them_all() -> None:
    assert counts(consume(Small, *[b"{"] * 50, flood=GUARD, flood_guard=False)) == {"failed": 50}
    assert FailedRecord.objects.count() == 50


def test_some_failures_among_many_good_records_are_no_flood() -> None:
    values = [b"{" if n % 3 == 0 else order() for n in range(60)]
    assert counts(consume(Small, *values, flood=GUARD, flood_guard=True)) == {"written": 40, "failed": 20}
