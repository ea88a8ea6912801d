"""Traces: a span for each chunk, linked to the traces of its records; nothing at all where they are off."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from consumers.core.errors import FatalError, Misconfigured
from consumers.core.records import Record, TopicPartition
from consumers.engine.runner import RunOptions
from consumers.telemetry.traces import MOST_LINKS, TracedStorage, contexts, tracing
from consumers.testing import MemoryLog
from tests.integration.engine import P0, SMALL, Harness, log_of, wait_until
from tests.orders import TOPIC, OrderConsumer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("committed")]

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


class Orders(OrderConsumer):
    batch = SMALL


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def around(exporter: InMemorySpanExporter) -> Callable[..., Any]:
    """As `tracing` gives it, with a provider that is this test's alone."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("consumers")
    return lambda storage, consumer, stages: TracedStorage(storage, consumer, stages, trace, tracer)


def traceparent(trace_id: str = TRACE, span_id: str = SPAN) -> bytes:
    return f"00-{trace_id}-{span_id}-01".encode()


def order(number: int) -> bytes:
    return b'{"number": "%d"}' % number


def run(log: MemoryLog, around: Callable[..., Any], consumer: type[Any] = Orders, records: int = 1) -> None:
    harness = Harness(consumer, log, options=RunOptions(around_storage=around))
    with harness.running():
        wait_until(lambda: harness.settled() == records)


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_chunk_has_a_span_with_what_became_of_it_and_where_its_time_went(
    exporter: InMemorySpanExporter, around: Callable[..., Any]
) -> None:
    run(log_of(order(1), b"garbage"), around, records=2)
    [span] = exporter.get_finished_spans()
    assert (span.name, span.kind) == (f"process {TOPIC}", trace.SpanKind.CONSUMER)
    told = attributes(span)
    assert told["messaging.system"] == "kafka"
    assert told["messaging.destination.name"] == TOPIC
    assert told["messaging.consumer.group.name"] == "orders"
    assert told["messaging.batch.message_count"] == 2
    assert told["consumers.spans"] == (f"{TOPIC}[0]@0-1",)
    assert (told["consumers.written"], told["consumers.failed"]) == (1, 1)
    assert {f"consumers.{stage}_ms" for stage in ("decode", "prefetch", "process", "write", "settle")} <= set(told)
    assert span.status.is_ok or span.status.is_unset


def test_it_is_linked_to_the_traces_of_its_records(exporter: InMemorySpanExporter, around: Callable[..., Any]) -> None:
    log = MemoryLog({TOPIC: 1})
    log.append(TOPIC, order(1), headers=(("traceparent", traceparent()), ("tracestate", b"vendor=1")))
    log.append(TOPIC, order(2))
    run(log, around, records=2)
    [span] = exporter.get_finished_spans()
    [link] = span.links
    assert format(link.context.trace_id, "032x") == TRACE
    assert format(link.context.span_id, "016x") == SPAN
    assert link.context.trace_state["vendor"] == "1"


def test_links_are_bounded_and_each_trace_comes_once() -> None:
    def record(number: int, header: bytes) -> Record:
        return Record(TopicPartition(TOPIC, 0), number, b"", headers=(("traceparent", header),))

    assert len(contexts(record(n, traceparent()) for n in range(10))) == 1
    many = contexts(record(n, traceparent(f"{n + 1:032x}")) for n in range(1000))
    assert len(many) == MOST_LINKS


@pytest.mark.parametrize("header", [b"", b"\xff\xfe", b"00-zz-zz-01", b"x" * 100_000, traceparent("0" * 32)])
def test_headers_that_make_no_sense_are_passed_over(header: bytes) -> None:
    assert contexts([Record(TopicPartition(TOPIC, 0), 0, b"", headers=(("traceparent", header),))]) == []


def test_code_in_process_finds_the_span_as_the_current_one(
    exporter: InMemorySpanExporter, around: Callable[..., Any]
) -> None:
    seen: list[int] = []

    class Asking(Orders):
        def process(self, event: Any, context: object) -> Any:
            seen.append(trace.get_current_span().get_span_context().span_id)
            return super().process(event, context)

    run(log_of(order(1)), around, Asking)
    [span] = exporter.get_finished_spans()
    assert span.context is not None
    assert seen == [span.context.span_id]


def test_a_fatal_error_ends_the_span_as_an_error(exporter: InMemorySpanExporter, around: Callable[..., Any]) -> None:
    class Broken(Orders):
        def process(self, event: Any, context: object) -> Any:
            raise FatalError("out of order")

    harness = Harness(Broken, log_of(order(1)), options=RunOptions(around_storage=around))
    with pytest.raises(FatalError, match="out of order"):
        harness.runner.run()
    [span] = exporter.get_finished_spans()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.status.description == "FatalError: out of order"


def test_an_outage_is_an_event_in_the_one_span_of_its_chunk(
    exporter: InMemorySpanExporter, around: Callable[..., Any]
) -> None:
    from django.db import OperationalError

    left = [1, 1]

    class Flaky(Orders):
        def prefetch(self, events: Any) -> None:
            if left and left.pop():
                raise OperationalError("no route")

    run(log_of(order(1)), around, Flaky)
    [span] = exporter.get_finished_spans()
    assert [event.name for event in span.events] == ["held", "held"]
    assert attributes(span)["consumers.written"] == 1


def test_spans_of_chunks_that_were_dropped_do_not_pile_up(around: Callable[..., Any]) -> None:
    harness = Harness(Orders, log_of(), options=RunOptions(around_storage=around))
    traced: Any = harness.runner._storage
    from consumers.core.chunks import Chunk, Run, Span

    for number in range(500):
        record = Record(P0, number, order(number))
        traced.prepare(Chunk.of([Run(P0, Span(number, number + 1), (record,))]))
    assert len(traced._spans) <= 64


def test_where_they_are_off_nothing_of_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed: importing it raises
    with tracing(False) as around:
        assert around is None
    with pytest.raises(Misconfigured, match=r"pip install -r requirements-otel\.txt"), tracing(True):
        pass


def test_a_provider_of_the_projects_own_is_used_and_left_open(
    exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(trace, "get_tracer", partial(trace.get_tracer, tracer_provider=provider))
    with tracing(True) as around:
        assert around is not None
        run(log_of(order(1)), around)
    assert len(exporter.get_finished_spans()) == 1
    provider.get_tracer("later").start_span("still open").end()
    assert len(exporter.get_finished_spans()) == 2


@pytest.fixture(autouse=True)
def _no_own_context() -> Iterator[None]:
    """Each test begins outside of any span."""
    assert not trace.get_current_span().get_span_context().is_valid
    yield
    assert not trace.get_current_span().get_span_context().is_valid
