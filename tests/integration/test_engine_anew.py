"""A log that ends before the ledger's position: the topic was made anew, and its records must not be passed over."""

from __future__ import annotations

import pytest

from consumers.core.errors import LogMadeAnew
from consumers.engine import claims
from consumers.models import PartitionLedger
from tests.integration.engine import log_of, run_consumer
from tests.makers import order
from tests.orders import Order, OrderConsumer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_LOOKS_AT_THE_END", 1)


def test_a_log_that_ends_before_the_ledger_stops_the_consumer_which_names_the_way_on() -> None:
    run_consumer(OrderConsumer, log_of(order(), order(), order()))
    with pytest.raises(LogMadeAnew, match=r"stands at 3 of .*but the log ends at 1: .*manage\.py seek --group orders"):
        run_consumer(OrderConsumer, log_of(order()))
    assert Order.objects.count() == 3
    assert PartitionLedger.objects.get().next_offset == 3


def test_a_log_that_ends_where_the_ledger_stands_is_the_same_log() -> None:
    log = log_of(order(), order())
    run_consumer(OrderConsumer, log)
    assert run_consumer(OrderConsumer, log).tally.received == 0
