"""Order kept across a failure: where a consumer asks for it, records behind a failed one of their key are held back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec
from django.db import transaction
from django.db.models import Min, Q

from consumers.core.errors import RecordError
from consumers.core.outcomes import Failure, Outcomes
from consumers.core.records import Record, TopicPartition
from consumers.models import PENDING, FailedRecord
from consumers.pipeline.failures import failure
from consumers.pipeline.units import Unit
from consumers.pipeline.write import Writer

HELD_BACK = "held_back"

Held = Mapping[tuple[TopicPartition, str], int]
"""By partition and key, the offset behind which records are held back."""


def failed_before(keys: Collection[str], where: Q, using: str) -> Held:
    """The first pending failed record of each key among those that `where` describes."""
    pending = FailedRecord.objects.using(using).filter(PENDING, where, order_key__in=keys).order_by()
    found = pending.values_list("topic", "partition", "order_key").annotate(first=Min("offset"))
    return {(TopicPartition(topic, partition), key): first for topic, partition, key, first in found}


class _Again(Exception):
    """A unit failed in the write whose followers were written with it."""


class HoldingWriter:
    """A writer that lets no record pass an earlier one of its partition and key that failed."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def write(self, units: Sequence[Unit], outcomes: Outcomes, held: Held) -> None:
        """As the writer's; `held` tells of the failures before this chunk, `outcomes` of those in it. Each failure is
        noted with its unit's key.

        Where the write itself finds bad records, it is undone and done again without those behind them.
        """
        known = _with_failures(held, units, outcomes.failures)
        while True:
            trial = outcomes.copy()
            free = [unit for unit in units if not _is_behind(unit, known)]
            trial.failures.extend(_held_back(unit, known) for unit in units if _is_behind(unit, known))
            try:
                with transaction.atomic(using=self._writer.using):
                    self._writer.write(free, trial)
                    known = _with_failures(known, free, trial.failures)
                    if any(_is_behind(unit, known) for unit in _not_failed(free, trial)):
                        raise _Again
            except _Again:
                continue
            trial.failures = _with_keys(units, trial.failures)
            outcomes.replace(trial)
            return


def _with_keys(units: Sequence[Unit], failures: Sequence[Failure]) -> list[Failure]:
    """The failures, each with the key of its unit if it came that far."""
    keys = {unit.record.position: unit.key for unit in units}
    return [
        each if each.key else msgspec.structs.replace(each, key=keys.get(each.record.position, "")) for each in failures
    ]


def _with_failures(held: Held, units: Sequence[Unit], failures: Sequence[Failure]) -> Held:
    """`held`, and behind these failures too."""
    first = dict(held)
    for each in _with_keys(units, failures):
        if each.key:
            place = each.record.source, each.key
            first[place] = min(first.get(place, each.record.offset), each.record.offset)
    return first


def _not_failed(units: Sequence[Unit], outcomes: Outcomes) -> list[Unit]:
    failed = {each.record.position for each in outcomes.failures}
    return [unit for unit in units if unit.record.position not in failed]


def _is_behind(unit: Unit, held: Held) -> bool:
    first = held.get((unit.record.source, unit.key)) if unit.key else None
    return first is not None and unit.record.offset > first


def _held_back(unit: Unit, held: Held) -> Failure:
    first = Record(unit.record.source, held[unit.record.source, unit.key], None)
    error = RecordError(HELD_BACK, f"{first}, an earlier record of the same key, failed and is not resolved yet")
    return msgspec.structs.replace(failure(unit.record, error), key=unit.key)
