"""Stage 4: rows go to the table, once. Says of every record whether it was written, a duplicate, or failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter, itemgetter
from typing import Any

import msgspec
from django.core.exceptions import ValidationError
from django.db import models, transaction

from consumers.consumer import BatchConsumer
from consumers.core.errors import Misconfigured, RecordError
from consumers.core.outcomes import Failure, Outcomes
from consumers.ingest import ingest_queryset
from consumers.pipeline.failures import failure
from consumers.pipeline.isolate import blames_records, isolate
from consumers.pipeline.units import Unit
from consumers.postgres.errors import Trouble, classify

Key = tuple[Any, ...]


class HeldBack(Exception):
    """A row was neither inserted nor is its key in the table: another unique constraint held it back."""


class Conflict(RecordError):
    """The key is in the table, with other content."""

    def __init__(self, key: Key, differing: Sequence[str]) -> None:
        super().__init__("conflict", f"the key {'/'.join(map(str, key))} exists with other {', '.join(differing)}")


class Writer:
    """Writes the rows of one consumer's model. Holds no state between chunks."""

    def __init__(self, consumer: BatchConsumer[Any, Any], using: str) -> None:
        self._consumer = consumer
        self.using = using
        self._unique = tuple(consumer.unique)
        self._columns: list[Any] = [consumer.model._meta.get_field(name) for name in consumer.unique]
        self._key_values = attrgetter(*(field.attname for field in self._columns))
        self._content = compared_fields(consumer) if consumer.on_conflict == "compare" else ()

    def write(self, units: Sequence[Unit], outcomes: Outcomes) -> None:
        """Write all units inside the caller's transaction and note what became of each.

        Raises:
            Exception: an outage of the database, or what no record is to blame for; the transaction is then lost.
        """
        waiting = self._sorted(units, outcomes)
        while waiting:
            round_ = _Round(self, outcomes)
            firsts, repeats = self._split_repeats(waiting)
            isolate(firsts, round_.attempt, round_.alone, using=self.using)
            waiting = [unit for unit in repeats if not round_.settles(unit)]

    def key(self, row: models.Model) -> Key:
        """The idempotency key of a row, as the table would give it back."""
        values = self._key_values(row)
        values = values if len(self._columns) > 1 else (values,)
        return tuple(
            (field.target_field if field.is_relation else field).to_python(value)
            for field, value in zip(self._columns, values, strict=True)
        )

    def insert(self, rows: Sequence[models.Model]) -> None:
        """The bulk write. Afterwards `_state.adding` is False for the rows that were new."""
        manager = ingest_queryset(self._consumer.model).using(self.using)
        manager.bulk_create(rows, ignore_conflicts=True, unique_fields=self._unique)

    def stored(self, keys: Iterable[Key]) -> dict[Key, models.Model]:
        """The table's rows under these keys."""
        manager = self._consumer.model._base_manager.using(self.using)
        wanted = list(keys)
        if len(self._unique) == 1:
            matching = models.Q(**{f"{self._unique[0]}__in": [key[0] for key in wanted]})
        else:
            matching = models.Q(*(models.Q(**dict(zip(self._unique, key, strict=True))) for key in wanted))
            matching.connector = models.Q.OR
        return {self.key(row): row for row in manager.filter(matching)} if wanted else {}

    def compare(self, row: models.Model, other: models.Model) -> None:
        """Raises Conflict if the consumer compares and the contents differ."""
        differing = [name for name in self._content if _value(row, name) != _value(other, name)]
        if differing:
            raise Conflict(self.key(row), differing)

    def on_written(self, rows: Sequence[models.Model]) -> None:
        if rows:
            self._consumer.on_written(rows)

    def _split_repeats(self, units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
        """Units whose keys come for the first time, and those that repeat one."""
        seen: set[Key] = set()
        firsts: list[Unit] = []
        repeats: list[Unit] = []
        for unit in units:
            keys = {self.key(row) for row in unit.rows}
            (repeats if keys & seen else firsts).append(unit)
            seen |= keys
        return firsts, repeats

    def _sorted(self, units: Sequence[Unit], outcomes: Outcomes) -> list[Unit]:
        """Units in the order of their keys, so that two writers never wait for each other in a circle. Those with a
        row that has no key, or one that its column refuses, fail."""
        keyed: list[tuple[Key, int, Unit]] = []
        for unit in units:
            try:
                keys = [self._whole_key(row) for row in unit.rows]
            except (ValueError, TypeError, ValidationError) as error:
                outcomes.failures.append(failure(unit.record, error))
            else:
                keyed.append((keys[0], unit.record.offset, unit))
        return [unit for _, _, unit in sorted(keyed, key=itemgetter(0, 1))]

    def _whole_key(self, row: models.Model) -> Key:
        key = self.key(row)
        if None in key:
            raise ValueError(f"the row has no {self._unique[key.index(None)]}, which is part of its idempotency key")
        return key


class _Round:
    """One pass over units of distinct keys, and what it learnt of those keys."""

    def __init__(self, writer: Writer, outcomes: Outcomes) -> None:
        self._writer = writer
        self._outcomes = outcomes
        self._in_table: dict[Key, models.Model] = {}
        self._failed: dict[Key, Failure] = {}

    def attempt(self, units: Sequence[Unit]) -> None:
        """The bulk write of some units; raises where one of them is bad."""
        writer = self._writer
        rows = [row for unit in units for row in unit.rows]
        writer.insert(rows)
        new = [row for row in rows if not row._state.adding]
        stored = self._behind(row for row in rows if row._state.adding)
        conflicts = [self._conflict(unit, stored) for unit in units] if stored else [None] * len(units)
        writer.on_written(new)
        self._in_table |= {writer.key(row): row for row in new} | stored
        for unit, conflict in zip(units, conflicts, strict=True):
            if conflict is not None:
                self._fail(unit, conflict)
            else:
                self._outcomes.wrote(unit.record, sum(not row._state.adding for row in unit.rows))

    def alone(self, unit: Unit, *, retry: bool = True) -> None:
        """The last step of isolation: each row by its own `save()`, whose error is the record's."""
        try:
            with transaction.atomic(using=self._writer.using):
                new, stored = self._save(unit)
                self._writer.on_written(new)
        except Exception as error:
            if not blames_records(error):
                raise
            if retry and classify(error) is Trouble.CONSTRAINT and self._all_stored(unit):
                self.alone(unit, retry=False)  # another transaction was quicker: a duplicate, not a failure
            else:
                self._fail(unit, error)
            return
        self._in_table |= stored
        self._outcomes.wrote(unit.record, len(new))

    def settles(self, unit: Unit) -> bool:
        """Settle a unit whose keys this round met before; False if it must be tried in a round of its own."""
        keys = {self._writer.key(row): row for row in unit.rows}
        if self._in_table.keys() >= keys.keys():
            try:
                for key, row in keys.items():
                    self._writer.compare(row, self._in_table[key])
            except Conflict as error:
                self._fail(unit, error)
            else:
                self._outcomes.duplicates.append(unit.record)
            return True
        twins = [self._failed[key] for key in keys if key in self._failed]
        if twins and twins[0].record.value == unit.record.value:
            self._outcomes.failures.append(_as(twins[0], unit))
            return True
        return False

    def _behind(self, held: Iterable[models.Model]) -> dict[Key, models.Model]:
        """The table's rows that held these back."""
        keys = {self._writer.key(row) for row in held}
        stored = self._writer.stored(keys)
        if keys - stored.keys():
            raise HeldBack("a unique constraint other than the idempotency key")
        return stored

    def _conflict(self, unit: Unit, stored: dict[Key, models.Model]) -> Conflict | None:
        try:
            for row in unit.rows:
                if row._state.adding:
                    self._writer.compare(row, stored[self._writer.key(row)])
        except Conflict as conflict:
            if len(unit.rows) > 1:
                raise  # its other rows must go too: isolation saves row by row
            return conflict
        return None

    def _save(self, unit: Unit) -> tuple[list[models.Model], dict[Key, models.Model]]:
        """The rows that were new, and all rows of the unit as the table has them."""
        stored = self._writer.stored({self._writer.key(row) for row in unit.rows})
        new = []
        for row in unit.rows:
            key = self._writer.key(row)
            if key in stored:
                self._writer.compare(row, stored[key])
            else:
                row.save(force_insert=True, using=self._writer.using)
                new.append(row)
                stored[key] = row
        return new, stored

    def _all_stored(self, unit: Unit) -> bool:
        keys = {self._writer.key(row) for row in unit.rows}
        return keys == self._writer.stored(keys).keys()

    def _fail(self, unit: Unit, error: BaseException) -> None:
        verdict = failure(unit.record, error)
        self._outcomes.failures.append(verdict)
        if not isinstance(error, Conflict):
            self._failed |= {self._writer.key(row): verdict for row in unit.rows}


def _as(twin: Failure, unit: Unit) -> Failure:
    return msgspec.structs.replace(twin, record=unit.record)


def _value(row: models.Model, name: str) -> Any:
    field: Any = row._meta.get_field(name)
    return (field.target_field if field.is_relation else field).to_python(getattr(row, field.attname))


def compared_fields(consumer: BatchConsumer[Any, Any]) -> tuple[str, ...]:
    """The fields that must agree under one key: the consumer's `content`, or those that event and model both name.

    Raises:
        Misconfigured: there is none.
    """
    if consumer.content:
        return tuple(consumer.content)
    wire = set(consumer.event.__struct_fields__)
    shared = [
        field.name
        for field in consumer.model._meta.concrete_fields
        if {field.name, field.attname} & wire and field.name not in consumer.unique
    ]
    if not shared:
        raise Misconfigured(f"{consumer.name}: on_conflict is 'compare', but event and model share no field")
    return tuple(shared)
