"""A record and the rows it became: the unit that is written, or fails, as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from typing import Any, overload

import msgspec

from consumers.core.records import Record


class Unit(msgspec.Struct, frozen=True, gc=False):
    """A record with its rows, one or more: instances of its consumer's model, or of that model's `row_type`."""

    record: Record
    rows: tuple[Any, ...]
    key: str = ""
    """What its order is kept by, if a failure of it holds back later records."""


class Units(Sequence[Unit]):
    """Units kept as columns. Most have one row and no key: as long as nobody asks for one of those by itself, no object
    is made of it, which would cost more than all else that is done with it here."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.firsts: list[Any] = []
        """The first row of each."""
        self._more: dict[int, tuple[Any, ...]] = {}
        self._keys: dict[int, str] = {}

    @classmethod
    def of(cls, units: Iterable[Unit]) -> Units:
        """The same units; the very object if it is one of these already."""
        if isinstance(units, cls):
            return units
        made = cls()
        for unit in units:
            made.append(unit)
        return made

    def append(self, unit: Unit) -> None:
        """Add a unit. One of a single row and no key may be added to `records` and `firsts` as well."""
        place = len(self.records)
        self.records.append(unit.record)
        self.firsts.append(unit.rows[0])
        if len(unit.rows) > 1:
            self._more[place] = unit.rows[1:]
        if unit.key:
            self._keys[place] = unit.key

    @property
    def are_single(self) -> bool:
        """Whether each has one row."""
        return not self._more

    def of_several_rows(self) -> list[Unit]:
        """Those that have more rows than one."""
        return [self._at(place) for place in self._more]

    @property
    def rows(self) -> list[Any]:
        """All rows, those of each unit after each other."""
        return [row for unit in self for row in unit.rows] if self._more else self.firsts

    @property
    def keys(self) -> set[str]:
        return set(self._keys.values())

    def picked(self, flags: Iterable[object]) -> Units:
        """Those whose flag is true, of flags in the order of the units."""
        if self._more or self._keys:
            return Units.of(list(compress(self, flags)))
        some = Units()
        places = list(compress(range(len(self)), flags))
        some.records = list(map(self.records.__getitem__, places))
        some.firsts = list(map(self.firsts.__getitem__, places))
        return some

    def without(self, place: int) -> Units:
        """All but one."""
        flags = [True] * len(self)
        flags[place] = False
        return self.picked(flags)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Unit]:
        if self._more or self._keys:
            return map(self._at, range(len(self)))
        return map(Unit, self.records, zip(self.firsts))

    @overload
    def __getitem__(self, place: int) -> Unit: ...
    @overload
    def __getitem__(self, place: slice) -> Units: ...
    def __getitem__(self, place: int | slice) -> Unit | Units:
        return Units.of([*self][place]) if isinstance(place, slice) else self._at(range(len(self))[place])

    def _at(self, place: int) -> Unit:
        rows = (self.firsts[place], *self._more.get(place, ()))
        return Unit(self.records[place], rows, self._keys.get(place, ""))
