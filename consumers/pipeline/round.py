"""One pass over units of distinct keys: the bulk write, isolation's last step, and what is learnt of those keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, compress, islice
from operator import not_
from typing import Any

import msgspec
from django.db import models, transaction

from consumers.core.errors import Again, point_at, pointed_at, release
from consumers.core.outcomes import Failure, Outcomes
from consumers.ingest import Given
from consumers.keys import Token
from consumers.pipeline.compare import Conflict
from consumers.pipeline.failures import failure
from consumers.pipeline.isolate import blames_records
from consumers.pipeline.table import Table
from consumers.pipeline.units import Unit, Units
from consumers.postgres.errors import breaks_uniqueness
from consumers.postgres.kept import KeptLines
from consumers.rows import is_row, to_model


class HeldBack(Exception):
    """A row was neither inserted nor is its key in the table: another unique constraint held it back."""


class Round:
    """Notes in `outcomes` what became of each unit."""

    def __init__(self, table: Table, outcomes: Outcomes) -> None:
        self._table = table
        self._outcomes = outcomes
        self._written: list[Any] = []
        self._found: dict[Token, models.Model] = {}
        self._failed: dict[Token, Failure] = {}
        self._was_undone = False
        self._kept = KeptLines()

    def attempt(self, units: Units) -> None:
        """The bulk write of some units, in a savepoint of its own; raises where one of them is bad, and `Again`, once,
        where all must be undone and done again."""
        rows = units.rows
        given = Given(distinct=units.are_single, savepoint=not self._was_undone, kept=self._kept)
        try:
            newness = self._table.insert(rows, given)
        except Again:
            self._was_undone = True
            raise
        except Exception as error:
            _point_at_unit(error, units)
            raise
        if newness is None:
            self._table.on_written(rows)
            self._written += rows
            self._wrote(units)
        else:
            self._attempted(units, rows, newness)

    def _attempted(self, units: Units, rows: Sequence[Any], newness: Sequence[bool]) -> None:
        """The rest of the attempt, if some rows were held back."""
        new = list(compress(rows, newness))
        held = list(compress(rows, map(not_, newness)))
        found, ids = self._behind(held), set(map(id, held))
        whole, parts = _parted(units, newness)
        conflicts = [self._conflict(unit, ids, found) for unit in parts]
        self._table.on_written(new)
        self._written += new
        self._found |= found
        self._wrote(whole)
        for unit, conflict in zip(parts, conflicts, strict=True):
            if conflict is not None:
                self._fail(unit, conflict)
            else:
                self._outcomes.wrote(unit.record, sum(id(row) not in ids for row in unit.rows))

    def _wrote(self, units: Units) -> None:
        """Note units all of whose rows were new."""
        self._outcomes.wrote_all(units.records)
        for unit in units.of_several_rows():
            self._outcomes.note_rows(unit.record, len(unit.rows))

    def alone(self, unit: Unit, *, retry: bool = True) -> None:
        """The last step of isolation: each row by its own `save()`, whose error is the record's."""
        try:
            with transaction.atomic(using=self._table.using):
                new, found = self._save(unit)
                self._table.on_written(new)
        except Exception as error:
            if not blames_records(error):
                raise
            if retry and breaks_uniqueness(error) and self._all_stored(unit):
                release(error)
                self.alone(unit, retry=False)  # another transaction was quicker: a duplicate, not a failure
            else:
                self._fail(unit, error)
            return
        self._found |= found
        self._outcomes.wrote(unit.record, len(new))

    def settles(self, unit: Unit) -> bool:
        """Settle a unit whose keys this round met before; False if it must be tried in a round of its own."""
        known = self._in_table()
        rows = {self._table.keys.token(row): row for row in unit.rows}
        if known.keys() >= rows.keys():
            try:
                for key, row in rows.items():
                    self._table.comparison.check(row, known[key])
            except Conflict as error:
                self._fail(unit, error)
            else:
                self._outcomes.duplicates.append(unit.record)
            return True
        twins = [self._failed[key] for key in rows if key in self._failed]
        if twins and twins[0].record.value == unit.record.value:
            self._outcomes.failures.append(msgspec.structs.replace(twins[0], record=unit.record))
            return True
        return False

    def _in_table(self) -> dict[Token, Any]:
        """What is in the table of the keys of this round."""
        self._found |= zip(self._table.keys.tokens(self._written), self._written, strict=True)
        self._written = []
        return self._found

    def _behind(self, held: Sequence[Any]) -> dict[Token, models.Model]:
        """The table's rows that held these back."""
        found = self._table.stored(held)
        if set(self._table.keys.tokens(held)) - found.keys():
            raise HeldBack("a unique constraint other than the idempotency key")
        return found

    def _conflict(self, unit: Unit, held: set[int], found: dict[Token, models.Model]) -> Conflict | None:
        try:
            for row in unit.rows:
                if id(row) in held:
                    self._table.comparison.check(row, found[self._table.keys.token(row)])
        except Conflict as conflict:
            if len(unit.rows) > 1:
                raise  # its other rows must go too: isolation saves row by row
            return conflict
        return None

    def _save(self, unit: Unit) -> tuple[list[Any], dict[Token, models.Model]]:
        """The rows that were new, and all rows of the unit as the table has them."""
        found = self._table.stored(unit.rows)
        new = []
        for row in unit.rows:
            key = self._table.keys.token(row)
            if key in found:
                self._table.comparison.check(row, found[key])
            else:
                instance = to_model(row) if is_row(row) else row
                instance.save(force_insert=True, using=self._table.using)
                new.append(row)
                found[key] = instance
        return new, found

    def _all_stored(self, unit: Unit) -> bool:
        return set(self._tokens(unit.rows)) == self._table.stored(unit.rows).keys()

    def _tokens(self, rows: Iterable[Any]) -> list[Token]:
        return [self._table.keys.token(row) for row in rows]

    def _fail(self, unit: Unit, error: BaseException) -> None:
        verdict = failure(unit.record, error)
        self._outcomes.failures.append(verdict)
        if not isinstance(error, Conflict):
            self._failed |= dict.fromkeys(self._tokens(unit.rows), verdict)


def _parted(units: Units, newness: Sequence[bool]) -> tuple[Units, Units]:
    """Units all of whose rows were new, and the others."""
    flags = iter(newness)
    whole = newness if units.are_single else [all([*islice(flags, len(unit.rows))]) for unit in units]
    return units.picked(whole), units.picked(map(not_, whole))


def _point_at_unit(error: BaseException, units: Sequence[Unit]) -> None:
    """Of an error that points at a row, make one that points at its unit."""
    place = pointed_at(error)
    if place is not None:
        ends = accumulate(len(unit.rows) for unit in units)
        point_at(error, next(number for number, end in enumerate(ends) if place < end))
