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
"""A unit, after the key of its first row and its offset."""


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
        """Write all units inside the caller's transaction and note what became of each. They are written in the order
        of their keys, so that two writers never wait for each other in a circle.

        Raises:
            Exception: an outage of the database, or what no record is to blame for; the transaction is then lost.
        """
        tokens, units = self._keyed(units, outcomes)
        if len(set(tokens)) == len(units) == sum([len(unit.rows) for unit in units]):
            round_ = Round(self, outcomes)
            ordered = [units[place] for place in sorted(range(len(units)), key=tokens.__getitem__)]
            isolate(ordered, round_.attempt, round_.alone, using=self.using)
        else:
            self._write_in_rounds(tokens, units, outcomes)

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

    def _keyed(self, units: Sequence[Unit], outcomes: Outcomes) -> tuple[list[Token], Sequence[Unit]]:
        """The key of each unit's first row, and the units. Those with a row that has no key, or one that its column
        refuses, fail."""
        try:
            self.keys.tokens([row for unit in units for row in unit.rows[1:]])
            return self.keys.tokens([unit.rows[0] for unit in units]), units
        except _BAD_KEY:
            return self._with_good_keys(units, outcomes)

    def _write_in_rounds(self, tokens: Sequence[Token], units: Sequence[Unit], outcomes: Outcomes) -> None:
        """Units of which some have several rows, or keys of others: those that repeat a key wait for the next round."""
        offsets = [unit.record.offset for unit in units]
        waiting = sorted(zip(tokens, offsets, units, strict=True), key=itemgetter(0, 1))
        while waiting:
            round_ = Round(self, outcomes)
            firsts, repeats = self._split_repeats(waiting)
            isolate([unit for _, _, unit in firsts], round_.attempt, round_.alone, using=self.using)
            waiting = [each for each in repeats if not round_.settles(each[2])]

    def _split_repeats(self, keyed: Sequence[Keyed]) -> tuple[list[Keyed], list[Keyed]]:
        """Units whose keys come for the first time, and those that repeat one."""
        seen: set[Token] = set()
        firsts: list[Keyed] = []
        repeats: list[Keyed] = []
        for each in keyed:
            keys = {self.keys.token(row) for row in each[2].rows}
            (repeats if keys & seen else firsts).append(each)
            seen |= keys
        return firsts, repeats

    def _with_good_keys(self, units: Sequence[Unit], outcomes: Outcomes) -> tuple[list[Token], list[Unit]]:
        firsts: list[Token] = []
        good: list[Unit] = []
        for unit in units:
            try:
                tokens = [self.keys.token(row) for row in unit.rows]
            except _BAD_KEY as error:
                outcomes.failures.append(failure(unit.record, error))
            else:
                firsts.append(tokens[0])
                good.append(unit)
        return firsts, good


_BAD_KEY = (ValueError, TypeError, ValidationError)
