"""Stage 3: rows go to the table, once. Says of every record whether it was written, a duplicate, or failed."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from django.core.exceptions import ValidationError

from consumers.consumer import BatchConsumer
from consumers.core.outcomes import Outcomes
from consumers.keys import Token
from consumers.pipeline.failures import failure
from consumers.pipeline.isolate import isolate
from consumers.pipeline.round import Round
from consumers.pipeline.table import Table
from consumers.pipeline.units import Unit, Units

Keyed = tuple[Token, int, Unit]
"""A unit, after the key of its first row and its offset."""


class Writer:
    """Writes the rows of one consumer's model. Holds no state between chunks."""

    def __init__(self, consumer: BatchConsumer[Any, Any], using: str) -> None:
        self.using = using
        self._table = Table(consumer, using)
        self._keys = self._table.keys

    def write(self, units: Sequence[Unit], outcomes: Outcomes) -> None:
        """Write all units inside the caller's transaction and note what became of each. The rows of one statement, and
        the parts that are tried when it fails, go in the order of their keys, so that two writers never wait for each
        other in a circle.

        Raises:
            Exception: an outage of the database, or what no record is to blame for; the transaction is then lost.
        """
        tokens, units = self._keyed(Units.of(units), outcomes)
        if units.are_single and len(set(tokens)) == len(units):
            round_ = Round(self._table, outcomes)
            isolate(units, round_.attempt, round_.alone, using=self.using, ordered=self._ordered)
        else:
            self._write_in_rounds(tokens, units, outcomes)

    def _keyed(self, units: Units, outcomes: Outcomes) -> tuple[list[Token], Units]:
        """The key of each unit's first row, and the units. Those with a row that has no key, or one that its column
        refuses, fail."""
        try:
            if not units.are_single:
                self._keys.tokens(units.rows)
            return self._keys.tokens(units.firsts), units
        except _BAD_KEY:
            return self._with_good_keys(units, outcomes)

    def _ordered(self, units: Units) -> Units:
        return Units.of(sorted(units, key=lambda unit: self._keys.token(unit.rows[0])))

    def _write_in_rounds(self, tokens: Sequence[Token], units: Units, outcomes: Outcomes) -> None:
        """Units of which some have several rows, or keys of others: those that repeat a key wait for the next round."""
        offsets = [record.offset for record in units.records]
        waiting = sorted(zip(tokens, offsets, units, strict=True), key=itemgetter(0, 1))
        while waiting:
            round_ = Round(self._table, outcomes)
            firsts, repeats = self._split_repeats(waiting)
            isolate(Units.of(unit for _, _, unit in firsts), round_.attempt, round_.alone, using=self.using)
            waiting = [each for each in repeats if not round_.settles(each[2])]

    def _split_repeats(self, keyed: Sequence[Keyed]) -> tuple[list[Keyed], list[Keyed]]:
        """Units whose keys come for the first time, and those that repeat one."""
        seen: set[Token] = set()
        firsts: list[Keyed] = []
        repeats: list[Keyed] = []
        for each in keyed:
            keys = {self._keys.token(row) for row in each[2].rows}
            (repeats if keys & seen else firsts).append(each)
            seen |= keys
        return firsts, repeats

    def _with_good_keys(self, units: Units, outcomes: Outcomes) -> tuple[list[Token], Units]:
        firsts: list[Token] = []
        good = Units()
        for unit in units:
            try:
                tokens = [self._keys.token(row) for row in unit.rows]
            except _BAD_KEY as error:
                outcomes.failures.append(failure(unit.record, error))
            else:
                firsts.append(tokens[0])
                good.append(unit)
        return firsts, good


_BAD_KEY = (ValueError, TypeError, ValidationError)
