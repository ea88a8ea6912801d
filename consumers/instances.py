"""Instances of a model made by keyword for a quarter of the price: `class Click(IngestModel)`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from django.db import models
from django.db.models.base import ModelState
from django.db.models.signals import post_init, pre_init

from consumers.postgres.cells import is_held_plainly


class IngestModel(models.Model):
    """A base without fields. `Click(event_id=..., campaign_id=...)` by the columns' attnames, with no receivers of
    `pre_init` and `post_init`, fills the instance at once; any other call is Django's own. The instance is the same.
    """

    class Meta:
        abstract = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        blank = None if args else _blank(type(self))
        if blank is None or _is_watched(type(self)) or _DEFERRED in map(id, kwargs.values()):
            super().__init__(*args, **kwargs)
            return
        filled = self.__dict__
        filled.update(blank.values)
        filled.update(kwargs)
        if len(filled) > len(blank.values):  # a name that is no column's: a related object's, or nobody's
            filled.clear()
            super().__init__(**kwargs)
            return
        filled["_state"] = ModelState()
        for name, default in blank.defaults:
            if name not in kwargs:
                filled[name] = default()


class _Blank(NamedTuple):
    """An instance before it is filled."""

    values: dict[str, Any]
    """The default of every column, in the order of the columns. What says "the database's" serves all instances."""
    defaults: tuple[tuple[str, Callable[[], Any]], ...]
    """Those that are made for each instance."""


@cache
def _blank(model: type[models.Model]) -> _Blank | None:
    """None if Django must make the instances itself: a field or the class has a setter of its own."""
    after = model.__mro__[model.__mro__.index(models.Model) :]
    if model._meta.abstract or after != models.Model.__mro__ or model.__setattr__ is not object.__setattr__:
        return None
    fields = [field for field in model._meta.fields if field.column is not None and not field.generated]
    if not all(is_held_plainly(model, field.attname) for field in fields):
        return None
    made = tuple((field.attname, field.get_default) for field in fields if _is_made(field))
    names = {name for name, _ in made}
    return _Blank({f.attname: None if f.attname in names else f.get_default() for f in fields}, made)


def _is_made(field: Any) -> bool:
    """Whether each instance must have a default of its own. A constant serves all, as it does with Django."""
    return (field.has_default() and callable(field.default)) or type(field).get_default not in (
        models.Field.get_default,
        models.BinaryField.get_default,
        models.ForeignKey.get_default,
    )


_DEFERRED = id(models.DEFERRED)
"""Looked for by identity: each value would be asked whether it equals it, which a UUID answers in Python."""


def _is_watched(model: type[models.Model]) -> bool:
    """Whether somebody is told of new instances."""
    if pre_init.receivers and pre_init.has_listeners(model):
        return True
    return bool(post_init.receivers and post_init.has_listeners(model))
