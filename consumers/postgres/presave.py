"""What Django does to rows before it inserts them, done in the same way before they are copied."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from operator import attrgetter, is_
from types import NoneType
from typing import Any

from django.db import models
from django.db.models.expressions import DatabaseDefault


def omitted(model: type[models.Model], rows: Sequence[Any]) -> frozenset[str] | None:
    """The attnames of the columns that the database is to fill in all of the rows; None if it is in some of them."""
    names = set()
    for field in _filled_by_database(model):
        kinds = set(map(type, map(attrgetter(field.attname), rows)))
        missing = {DatabaseDefault, NoneType} if field is model._meta.auto_field else {DatabaseDefault}
        if kinds & missing:
            if not kinds <= missing:
                return None
            names.add(field.attname)
    return frozenset(names)


def prepare(model: type[models.Model], rows: Sequence[Any]) -> None:
    """Fill in primary keys and times, and take over the keys of related objects that were saved meanwhile.

    Raises:
        ValueError: a related object has not been saved.
    """
    for field in model._meta.pk_fields:
        # `None in` would ask each key whether it equals None, which a UUID answers in Python.
        if any(map(_is_none, map(attrgetter(field.attname), rows))):
            for row in [row for row in rows if getattr(row, field.attname) is None]:
                setattr(row, field.attname, field.get_pk_value_on_save(row))
    instances = rows if any(issubclass(kind, models.Model) for kind in set(map(type, rows))) else ()
    for row in [row for row in instances if isinstance(row, models.Model) and "fields_cache" in row._state.__dict__]:
        row._prepare_related_fields_for_save(operation_name="bulk_create")  # type: ignore[attr-defined]
    for field in _stamped(model):
        for row in rows:
            field.pre_save(row, add=True)


_is_none = partial(is_, None)


@cache
def _filled_by_database(model: type[models.Model]) -> tuple[Any, ...]:
    fields = model._meta.concrete_fields
    return tuple(f for f in fields if f is model._meta.auto_field or (f.has_db_default() and not f.has_default()))


@cache
def _stamped(model: type[models.Model]) -> tuple[Any, ...]:
    fields = model._meta.concrete_fields
    return tuple(f for f in fields if getattr(f, "auto_now", False) or getattr(f, "auto_now_add", False))
