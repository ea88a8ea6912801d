"""Stage 3: events become rows, in a bounded set of workers; nothing outlives the chunk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Model

from consumers.concurrency import Deadline, Scope, Timeout, TooSlow, for_each, sleep
from consumers.consumer import BatchConsumer
from consumers.core.errors import FatalError, RecordError
from consumers.core.outcomes import Failure, Outcomes
from consumers.core.records import Record
from consumers.pipeline.decode import Decoded
from consumers.pipeline.failures import failure
from consumers.pipeline.units import Unit
from consumers.postgres.errors import is_outage

Verdict = Unit | Failure | Record
"""Rows, a failure, or a record that was skipped."""


class Processor:
    """Runs a consumer's `process` over the events of a chunk."""

    def __init__(self, consumer: BatchConsumer[Any, Any], concurrency: int) -> None:
        self._consumer = consumer
        self._concurrency = concurrency
        self._deadline = Deadline(consumer.handler_timeout) if consumer.handler_timeout else None
        self._ordered = type(consumer).order_by is not BatchConsumer.order_by

    def process(self, decoded: Decoded, context: Any, outcomes: Outcomes) -> list[Unit]:
        """The rows of the chunk's records; failures and skips are noted in `outcomes`.

        Raises:
            FatalError: from `process`, or because it queried the database.
        """
        units: list[Unit] = []

        def work(group: Decoded) -> None:
            for record, event in group:
                match self._verdict(record, event, context):
                    case Unit() as unit:
                        units.append(unit)
                    case Failure() as failed:
                        outcomes.failures.append(failed)
                    case skipped:
                        outcomes.skipped.append(skipped)

        with Scope() as scope:
            if self._deadline is not None:
                scope.spawn(self._deadline.watch)
            for_each(work, self._groups(decoded, outcomes), min(self._concurrency, len(decoded)))
            scope.cancel()
        return units

    def _groups(self, decoded: Decoded, outcomes: Outcomes) -> Iterable[Decoded]:
        """What must be done in sequence: records of one key together, all others alone."""
        if not self._ordered:
            return ([pair] for pair in decoded)
        groups: dict[Any, Decoded] = {}
        for record, event in decoded:
            try:
                key = self._consumer.order_by(event)
                together = groups.setdefault(("alone", record.source, record.offset) if key is None else (key,), [])
            except FatalError:
                raise
            except Exception as error:  # noqa: BLE001  (the consumer's own code, on one record)
                outcomes.failures.append(failure(record, error))
                continue
            together.append((record, event))
        return groups.values()

    def _verdict(self, record: Record, event: Any, context: Any) -> Verdict:
        retry = self._consumer.retry
        for attempt in range(1, retry.attempts + 1):
            try:
                rows = self._rows(event, context)
                return Unit(record, rows) if rows else record
            except TooSlow as error:
                return failure(record, error, "handler_timeout")
            except FatalError:
                raise
            except RecordError as error:
                return failure(record, error)
            except (Exception, Timeout) as error:  # a greenlet's time-out is not an Exception
                if is_outage(error):
                    raise
                if not (isinstance(error, Timeout) or retry.is_transient(error)):
                    return failure(record, error)
                if attempt == retry.attempts:
                    return failure(record, error, "retries_exhausted")
            sleep(retry.backoff.delay(attempt))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _rows(self, event: Any, context: Any) -> tuple[Model, ...]:
        process = self._consumer.process
        result = process(event, context) if self._deadline is None else self._deadline.call(process, event, context)
        return _as_rows(result, self._consumer.model)


def _as_rows(result: Any, model: type[Model]) -> tuple[Model, ...]:
    if result is None:
        return ()
    rows = (result,) if isinstance(result, Model) else tuple(result)
    for row in rows:
        if not isinstance(row, model):
            raise TypeError(f"process() must return rows of {model.__name__}, not {type(row).__name__}")
    return rows


def prefetch(consumer: BatchConsumer[Any, Any], decoded: Decoded) -> Any:
    """Stage 2: all that the chunk needs from the database, at once."""
    events: Sequence[Any] = [event for _, event in decoded]
    return consumer.prefetch(events) if events else None
