"""A chunk's memory is free once it is settled: nothing of it waits in a cycle for the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from typing import ClassVar

import pytest

from consumers.api import RetryPolicy, TransientError, reject
from consumers.concurrency import sleep
from consumers.core.chunks import Chunk, Run, Span
from consumers.core.flood import FloodGuard, FloodPolicies, FloodPolicy
from consumers.core.outcomes import Outcomes
from consumers.core.records import Record
from consumers.ledger import Ledger
from consumers.pipeline.flow import Flow
from consumers.pipeline.progress import LedgerProgress
from tests.integration.engine import AT_ONCE, P0
from tests.makers import order
from tests.orders import Order, OrderConsumer, OrderEvent

pytestmark = pytest.mark.django_db


class Payload(bytes):
    """Bytes whose end is counted; a weak reference to bytes cannot be had."""

    freed: ClassVar[int] = 0

    def __del__(self) -> None:
        Payload.freed += 1


class Mixed(OrderConsumer):
    """Rows, refusals, errors of every kind, and waiting."""

    retry = RetryPolicy(attempts=2, backoff=AT_ONCE)

    def process(self, event: OrderEvent, context: object) -> Order:
        sleep(0)
        match event.note:
            case "refused":
                reject("refused")
            case "passing":
                raise TransientError("503")
            case "broken":
                raise RuntimeError("no")
        return Order(number=event.number, quantity=event.quantity)


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def freed_of(*values: bytes) -> int:
    """Take these values through the pipeline; returns how many of them are gone afterwards."""
    Payload.freed = 0
    settle(values)
    return Payload.freed


def settle(values: Iterable[bytes]) -> None:
    records = tuple(Record(P0, offset, Payload(value)) for offset, value in enumerate(values))
    ledger = Ledger("orders", "default")
    [position] = ledger.claim({P0: 0}).values()
    flow = Flow(Mixed(), using="default", guard=FloodGuard(FloodPolicies(FloodPolicy(enabled=False))))
    chunk = Chunk.of([Run(P0, Span(0, len(records)), records, position.epoch)])
    flow.settle(flow.process(flow.prepare(chunk)), LedgerProgress(ledger, "orders"), Outcomes())


@pytest.mark.parametrize("note", ["", "refused", "passing", "broken"])
def test_a_settled_chunk_is_freed_without_the_collector(note: str, no_collector: None) -> None:
    assert freed_of(*(order(note=note) for _ in range(20))) == 20


def test_so_is_one_in_which_rows_were_refused_and_isolated(no_collector: None) -> None:
    assert freed_of(order("a"), order("b", quantity=0), order("a"), b"{", order("c")) == 5
