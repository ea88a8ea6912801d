"""Stage 4: rows go to the table, once. Says of every record whether it was written, a duplicate, or failed."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from consumers.consumer import BatchConsumer
from consumers.core.outcomes import Outcomes
from consumers.ingest import ingest, ingest_queryset
from consumers.pipeline.compare import Comparison
from consumers.pipeline.failures import failure
from consumers.pipeline.isolate import isolate
from consumers.pipeline.keys import Keys, Token
from consumers.pipeline.round import Round
from consumers.pipeline.units import Unit
from consumers.rows import row_type

Keyed = tuple[Token, int, Unit]
"""A unit, after the key of its first row and its offset: in the order in which units are written."""


class Writer:
    """Writes the rows of one consumer's model. Holds no state between chunks."""

    def __init__(self, consumer: BatchConsumer[Any, Any], using: str) -> None:
        self.using = using
        self.model = consumer.model
        self.keys = Keys(consumer.model, consumer.unique)
        self.comparison = Comparison(consumer)
        self._unique = tuple(consumer.unique)
        self._consumer = consumer
        self._has_effect = type(consumer).on_written is not BatchConsumer.on_written

    def write(self, units: Sequence[Unit], outcomes: Outcomes) -> None:
        """Write all units inside the caller's transaction and note what became of each.

        Raises:
            Exception: an outage of the database, or what no record is to blame for; the transaction is then lost.
        """
        waiting = self._sorted(units, outcomes)
        while waiting:
            round_ = Round(self, outcomes)
            firsts, repeats = self._split_repeats(waiting)
            isolate([unit for _, _, unit in firsts], round_.attempt, round_.alone, using=self.using)
            waiting = [each for each in repeats if not round_.settles(each[2])]

    def insert(self, rows: Sequence[Any]) -> list[bool] | None:
        """The bulk write. Returns of each row whether it was new; None if all were."""
        if row_type(self.model) in set(map(type, rows)):
            return ingest(self.model, rows, self._unique, self.using)
        queryset = ingest_queryset(self.model).using(self.using)
        queryset.bulk_create(rows, ignore_conflicts=True, unique_fields=self._unique)
        newness = [not row._state.adding for row in rows]
        return None if all(newness) else newness

    def stored(self, rows: Sequence[Any]) -> dict[Token, models.Model]:
        """The table's rows under the keys of these."""
        found = self.model._base_manager.using(self.using).filter(self.keys.matching(rows)) if rows else ()
        return {self.keys.token(row): row for row in found}

    def on_written(self, rows: Sequence[Any]) -> None:
        if rows and self._has_effect:
            self._consumer.on_written(rows)

    def _split_repeats(self, keyed: Sequence[Keyed]) -> tuple[Sequence[Keyed], list[Keyed]]:
        """Units whose keys come for the first time, and those that repeat one."""
        if len({token for token, _, _ in keyed}) == len(keyed) == sum(len(unit.rows) for _, _, unit in keyed):
            return keyed, []
        seen: set[Token] = set()
        firsts: list[Keyed] = []
        repeats: list[Keyed] = []
        for each in keyed:
            keys = {self.keys.token(row) for row in each[2].rows}
            (repeats if keys & seen else firsts).append(each)
            seen |= keys
        return firsts, repeats

    def _sorted(self, units: Sequence[Unit], outcomes: Outcomes) -> list[Keyed]:
        """Units in the order of their keys, so that two writers never wait for each other in a circle. Those with a
        row that has no key, or one that its column refuses, fail."""
        try:
            tokens = self.keys.tokens([unit.rows[0] for unit in units])
            self.keys.tokens([row for unit in units for row in unit.rows[1:]])
            keyed = [(token, unit.record.offset, unit) for token, unit in zip(tokens, units, strict=True)]
        except _BAD_KEY:
            keyed = self._with_good_keys(units, outcomes)
        return sorted(keyed, key=itemgetter(0, 1))

    def _with_good_keys(self, units: Sequence[Unit], outcomes: Outcomes) -> list[Keyed]:
        keyed: list[Keyed] = []
        for unit in units:
            try:
                tokens = [self.keys.token(row) for row in unit.rows]
            except _BAD_KEY as error:
                outcomes.failures.append(failure(unit.record, error))
            else:
                keyed.append((tokens[0], unit.record.offset, unit))
        return keyed


_BAD_KEY = (ValueError, TypeError, ValidationError)
