"""Stage 3: events become rows, in a bounded set of workers; nothing outlives the chunk."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from django.db.models import Model

from consumers.concurrency import Deadline, Scope, for_each
from consumers.consumer import BatchConsumer
from consumers.core.outcomes import Failure, Outcomes
from consumers.pipeline.attempts import Attempts
from consumers.pipeline.decode import Decoded
from consumers.pipeline.order import Group, Order
from consumers.pipeline.units import Unit


class Processor:
    """Runs a consumer's `process` over the events of a chunk."""

    def __init__(self, consumer: BatchConsumer[Any, Any], concurrency: int) -> None:
        self._consumer = consumer
        self._concurrency = concurrency
        self._deadline = Deadline(consumer.handler_timeout) if consumer.handler_timeout else None
        self._order = Order(consumer)

    def process(self, decoded: Decoded, context: Any, outcomes: Outcomes) -> list[Unit]:
        """The rows of the chunk's records; failures and skips are noted in `outcomes`.

        Raises:
            FatalError: from `process`, or because it queried the database.
        """
        units: list[Unit] = []
        attempts = Attempts(partial(self._rows, context=context), self._consumer.retry)

        def work(group: Group) -> None:
            for record, event in group.pairs:
                match attempts.verdict(record, event):
                    case Unit() as unit:
                        units.append(unit._replace(key=group.token) if group.token else unit)
                    case Failure() as failed:
                        outcomes.failures.append(msgspec.structs.replace(failed, key=group.token))
                    case skipped:
                        outcomes.skipped.append(skipped)

        with Scope() as scope:
            if self._deadline is not None:
                scope.spawn(self._deadline.watch)
            for_each(work, self._order.groups(decoded, outcomes), min(self._concurrency, len(decoded)))
            scope.cancel()
        return units

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
