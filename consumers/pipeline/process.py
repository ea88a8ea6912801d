"""Stage 2: events become rows, in a bounded set of workers; nothing outlives the chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import msgspec
from django.db.models import Model

from consumers.concurrency import Deadline, Scope, Timeout, TooSlow, run_workers
from consumers.consumer import BatchConsumer
from consumers.core.outcomes import Failure, Outcomes
from consumers.core.records import Record
from consumers.pipeline.attempts import Attempts, Verdict
from consumers.pipeline.decode import Decoded
from consumers.pipeline.order import Group, Order
from consumers.pipeline.units import Unit, Units
from consumers.rows import is_row, row_type


class Processor:
    """Runs a consumer's `process` over the events of a chunk."""

    def __init__(self, consumer: BatchConsumer[Any, Any], concurrency: int) -> None:
        self._consumer = consumer
        self._concurrency = concurrency
        self._order = Order(consumer)

    def process(self, decoded: Decoded, context: Any, outcomes: Outcomes) -> Units:
        """The rows of the chunk's records; failures and skips are noted in `outcomes`.

        Raises:
            FatalError: from `process`, or because it queried the database.
        """
        work = _Work(self._consumer, context, outcomes)
        if not decoded.events:
            return work.units
        if self._order.is_asked_for:
            task = partial(work.drain_groups, iter(self._order.groups(decoded, outcomes)))
        else:
            task = partial(work.drain, decoded.pairs())
        with Scope() as scope:
            scope.spawn(work.deadline.watch)
            run_workers(task, min(self._concurrency, len(decoded.events)))
            scope.cancel()
        return work.units


class _Work:
    """What the workers of one chunk share. They take from one iterator and add to the same lists, without a lock: a
    greenlet gives way only where it waits."""

    def __init__(self, consumer: BatchConsumer[Any, Any], context: Any, outcomes: Outcomes) -> None:
        self.units = Units()
        self.deadline = Deadline(consumer.handler_timeout)
        self._handler = _Handler(consumer.process, context, consumer.model)
        self._kinds = frozenset((consumer.model, row_type(consumer.model)))
        self._outcomes = outcomes
        self._attempts = Attempts(self._handler.rows, consumer.retry, self.deadline)

    def drain(self, pairs: Iterator[tuple[Record, Any]]) -> None:
        """For a worker: process records until none is left."""
        with self.deadline.turns() as begin:
            self._process(pairs, begin)

    def drain_groups(self, groups: Iterator[Group]) -> None:
        """For a worker: process groups until none is left, the records of each in order."""
        with self.deadline.turns() as begin:
            for group in groups:
                self._process(group.pairs, begin, group.token)

    def _process(self, pairs: Iterable[tuple[Record, Any]], begin: Callable[[object], None], token: str = "") -> None:
        """The loop that every record goes through: what does not become one row at the first attempt is dealt with
        elsewhere."""
        (process, context, model), kinds = self._handler, self._kinds
        add_record, add_row = self.units.records.append, self.units.firsts.append
        for record, event in pairs:
            begin(record)
            try:
                result = process(event, context)
                if type(result) in kinds:
                    if token:
                        self.units.append(Unit(record, (result,), token))
                    else:
                        add_record(record)
                        add_row(result)
                    continue
                rows = _as_rows(result, model)
                verdict: Verdict = Unit(record, rows) if rows else record
            except (Exception, Timeout, TooSlow) as error:  # noqa: BLE001  (the last two are no Exceptions)
                verdict = self._attempts.after(error, record, event)
            self._note(verdict, token)

    def _note(self, verdict: Verdict, token: str) -> None:
        match verdict:
            case Unit():
                self.units.append(msgspec.structs.replace(verdict, key=token))
            case Failure():
                self._outcomes.failures.append(msgspec.structs.replace(verdict, key=token))
            case skipped:
                self._outcomes.skipped.append(skipped)


class _Handler(NamedTuple):
    """A consumer's `process` for one chunk. It knows nothing of the chunk's work: together they would be a cycle, which
    keeps the records alive until the garbage collector comes."""

    process: Callable[[Any, Any], Any]
    context: Any
    model: type[Model]

    def rows(self, event: Any) -> tuple[Any, ...]:
        return _as_rows(self.process(event, self.context), self.model)


def _as_rows(result: Any, model: type[Model]) -> tuple[Any, ...]:
    if result is None:
        return ()
    rows = (result,) if isinstance(result, Model) or is_row(result) else tuple(result)
    for row in rows:
        if not isinstance(row, (model, row_type(model))):
            raise TypeError(f"process() must return rows of {model.__name__}, not {type(row).__name__}")
    return rows
