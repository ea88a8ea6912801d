"""Traces, as an option: a span for each chunk, linked to the traces that its records come from.

Off unless CONSUMERS["tracing"] is on; needs the packages of requirements-otel.txt, which nothing else here does. Where
spans go is said by the OTEL_* variables of the OpenTelemetry specification, unless the project has set up a provider
itself. Names of attributes: OpenTelemetry's semantic conventions for messaging, where they have one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from itertools import islice
from typing import Any, cast

from consumers.consumer import BatchConsumer
from consumers.core.chunks import Chunk
from consumers.core.errors import Fenced, Misconfigured
from consumers.core.outcomes import Outcomes
from consumers.core.records import Record, TopicPartition
from consumers.engine.runner import AroundStorage
from consumers.engine.storage import Storage
from consumers.pipeline.flow import Prepared, Processed
from consumers.postgres.errors import describe, is_outage
from consumers.stages import Stages

MOST_LINKS = 32
"""Traces that a span is linked to; a chunk may hold records of thousands."""
_MOST_OPEN = 64
"""Spans that are open at once; more mean that some chunks were dropped, and the oldest are ended."""
_LOOKED_AT = 4 * MOST_LINKS
"""Records whose headers are looked at."""
_NAMES = ("traceparent", "tracestate")

_open_span: ContextVar[Any] = ContextVar("consumers_span", default=None)


class TracedStorage:
    """A storage whose chunks have spans: opened when a chunk is prepared, ended when it is settled."""

    def __init__(
        self, storage: Storage, consumer: BatchConsumer[Any, Any], stages: Stages, api: Any, tracer: Any
    ) -> None:
        """`api` is the package opentelemetry.trace."""
        self._storage = storage
        self._consumer = consumer
        self._api = api
        self._tracer = tracer
        self._spans: dict[tuple[TopicPartition, int], Any] = {}
        stages.on_spent = _spent

    def __getattr__(self, name: str) -> Any:
        """All else is the storage's own."""
        return getattr(self._storage, name)

    def prepare(self, chunk: Chunk) -> Prepared:
        with self._within(self._span_of(chunk)):
            return self._storage.prepare(chunk)

    def process(self, prepared: Prepared) -> Processed:
        with self._within(self._span_of(prepared.chunk)):
            return self._storage.process(prepared)

    def settle(self, processed: Processed, report: Outcomes) -> None:
        span = self._span_of(processed.chunk)
        with self._within(span):
            self._storage.settle(processed, report)
        tally = report.tally()
        span.set_attributes({f"consumers.{name}": count for name, count in vars(tally).items()})
        self._end(span)

    @contextmanager
    def _within(self, span: Any) -> Iterator[None]:
        """The block's work belongs to the span. An outage is an event in it, and the chunk comes again."""
        token = _open_span.set(span)
        try:
            with self._api.use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False):
                yield
        except Fenced as error:
            span.add_event("fenced", {"consumers.sources": sorted(map(str, error.sources))})
            raise
        except Exception as error:
            if is_outage(error):
                span.add_event("held", {"consumers.reason": describe(error)})
            else:
                span.set_status(self._api.StatusCode.ERROR, f"{type(error).__name__}: {describe(error)}")
                self._end(span)
            raise
        finally:
            _open_span.reset(token)

    def _span_of(self, chunk: Chunk) -> Any:
        """The chunk's span, opened if it has none. A chunk that has lost partitions is found by those it still has."""
        places = [(source, span.start) for source, span in chunk.spans.items()]
        span = next((self._spans[place] for place in places if place in self._spans), None)
        if span is None:
            span = self._opened(chunk)
        self._spans.update(dict.fromkeys(places, span))
        if len(self._spans) > _MOST_OPEN:
            self._end(next(iter(self._spans.values())))
        return span

    def _opened(self, chunk: Chunk) -> Any:
        topics = sorted({source.topic for source in chunk.spans})
        return self._tracer.start_span(
            f"process {topics[0] if len(topics) == 1 else self._consumer.name}",
            kind=self._api.SpanKind.CONSUMER,
            links=[self._api.Link(context) for context in contexts(chunk.records)],
            attributes={
                "messaging.system": "kafka",
                "messaging.operation.type": "process",
                "messaging.destination.name": ",".join(topics),
                "messaging.consumer.group.name": self._storage.group,
                "messaging.batch.message_count": len(chunk.records),
                "consumers.consumer": self._consumer.name,
                "consumers.spans": [f"{source}@{s.start}-{s.end - 1}" for source, s in chunk.spans.items()],
            },
        )

    def _end(self, span: Any) -> None:
        self._spans = {place: each for place, each in self._spans.items() if each is not span}
        span.end()


def contexts(records: Iterable[Record]) -> list[Any]:
    """The span contexts of records, from their `traceparent` and `tracestate` headers (W3C Trace Context), each once.
    Headers that make no sense are passed over."""
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    propagator = TraceContextTextMapPropagator()
    found: dict[tuple[int, int], Any] = {}
    for record in islice((record for record in records if record.headers), _LOOKED_AT):
        carrier = {name: value.decode("ascii", "replace") for name, value in record.headers if value and name in _NAMES}
        context = trace.get_current_span(propagator.extract(carrier)).get_span_context() if carrier else None
        if context is not None and context.is_valid:
            found.setdefault((context.trace_id, context.span_id), context)
        if len(found) == MOST_LINKS:
            break
    return list(found.values())


def _spent(stage: str, seconds: float) -> None:
    """Add a stage's time to the span at hand."""
    span = _open_span.get()
    if span is not None:
        span.set_attribute(f"consumers.{stage}_ms", round(seconds * 1000, 3))


@contextmanager
def tracing(is_on: bool) -> Iterator[AroundStorage | None]:
    """Gives what puts traces around a storage; None where they are off.

    While the block lasts, spans go where the OTEL_* variables say (by default to http://localhost:4318), unless the
    project has set up a provider of its own. Those that wait are sent at its end.

    Raises:
        Misconfigured: the packages are not installed.
    """
    if not is_on:
        yield None
        return
    try:
        from opentelemetry import trace

        own = None if _is_set_up(trace) else _set_up(trace)
    except ImportError as error:
        raise Misconfigured(
            f"CONSUMERS['tracing'] is on, and a package is missing ({error.name}): pip install -r requirements-otel.txt"
        ) from error
    try:
        yield partial(_around, trace, trace.get_tracer("consumers"))
    finally:
        if own is not None:
            own.shutdown()


def _around(api: Any, tracer: Any, storage: Storage, consumer: BatchConsumer[Any, Any], stages: Stages) -> Storage:
    return cast("Storage", TracedStorage(storage, consumer, stages, api, tracer))  # the rest it hands through


def _is_set_up(api: Any) -> bool:
    return not isinstance(api.get_tracer_provider(), api.ProxyTracerProvider)


def _set_up(api: Any) -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    api.set_tracer_provider(provider)
    return provider
