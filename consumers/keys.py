"""The idempotency keys of rows, in a form that is quick to hash and to sort."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from django.db import models

Token = Any
"""A key as the table would give it back: its one value, or the tuple of several. A UUID is its number, since it hashes
and compares in Python, at ten times the price."""

_PLAIN: dict[type[models.Field[Any, Any]], type] = {
    models.UUIDField: UUID,
    models.CharField: str,
    models.TextField: str,
    models.IntegerField: int,
    models.BigIntegerField: int,
    models.AutoField: int,
    models.BigAutoField: int,
    models.DateTimeField: datetime,
    models.DateField: date,
}
"""By field: the type whose values `to_python` leaves as they are."""


class Keys:
    """The keys of one model's rows."""

    def __init__(self, model: type[models.Model], unique: Sequence[str]) -> None:
        """`unique`: the names of the key's fields."""
        columns: list[Any] = [model._meta.get_field(name) for name in unique]
        self._names = [column.attname for column in columns]
        self._fields = [column.target_field if column.is_relation else column for column in columns]
        self._raw = attrgetter(*self._names)
        self._plain = _PLAIN.get(type(self._fields[0])) if len(columns) == 1 else None

    def token(self, row: Any) -> Token:
        """The key of a row.

        Raises:
            ValueError, TypeError, ValidationError: a part of it is missing, or its column refuses it.
        """
        values = self.values(row)
        parts = tuple(value.int if type(value) is UUID else value for value in values)
        return parts[0] if len(parts) == 1 else parts

    def tokens(self, rows: Sequence[Any]) -> list[Token]:
        """The keys of many rows; the errors are those of `token`."""
        raw = list(map(self._raw, rows))
        if self._plain is None or not {self._plain}.issuperset(map(type, raw)):
            return list(map(self.token, rows))
        return list(map(_number, raw)) if self._plain is UUID else raw

    def values(self, row: Any) -> tuple[Any, ...]:
        """The key's values as the table would give them back; errors as of `token`."""
        raw = self._raw(row) if len(self._names) > 1 else (self._raw(row),)
        values = tuple(field.to_python(value) for field, value in zip(self._fields, raw, strict=True))
        if None in values:
            name = self._names[values.index(None)]
            raise ValueError(f"the row has no {name}, which is part of its idempotency key")
        return values

    def matching(self, rows: Sequence[Any]) -> models.Q:
        """What the rows in the table under these rows' keys fulfil."""
        keys = [dict(zip(self._names, self.values(row), strict=True)) for row in rows]
        if len(self._names) == 1:
            [name] = self._names
            return models.Q(**{f"{name}__in": [key[name] for key in keys]})
        matching = models.Q(*(models.Q(**key) for key in keys))
        matching.connector = models.Q.OR
        return matching


_number = attrgetter("int")
