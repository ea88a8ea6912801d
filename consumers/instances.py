"""Instances of a model made by keyword for a third of the price: `class Click(IngestModel)`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from django.db import models
from django.db.models.base import ModelState
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_init, pre_init


class IngestModel(models.Model):
    """A base without fields. `Click(event_id=..., campaign_id=...)` by the columns' attnames, with no receivers of
    `pre_init` and `post_init`, fills the instance at once; any other call is Django's own. The instance is the same.
    """

    class Meta:
        abstract = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        blank = None if args else _blank(type(self))
        if blank is None or not kwargs.keys() <= blank.values.keys() or _is_watched(type(self), kwargs):
            super().__init__(*args, **kwargs)
            return
        filled = self.__dict__
        filled["_state"] = ModelState()
        filled.update(blank.values)
        filled.update(kwargs)
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
    if not all(type(_held_by(model, field.attname)) in _PLAIN_ATTRIBUTES for field in fields):
        return None
    made = tuple((field.attname, field.get_default) for field in fields if field.has_default() or _is_made(field))
    names = {name for name, _ in made}
    return _Blank({f.attname: None if f.attname in names else f.get_default() for f in fields}, made)


_PLAIN_ATTRIBUTES = (DeferredAttribute, ForeignKeyDeferredAttribute)


def _held_by(model: type[models.Model], name: str) -> object:
    """The attribute as the class holds it, not what it gives."""
    return next((vars(base)[name] for base in model.__mro__ if name in vars(base)), None)


def _is_made(field: Any) -> bool:
    return type(field).get_default not in (
        models.Field.get_default,
        models.BinaryField.get_default,
        models.ForeignKey.get_default,
    )


def _is_watched(model: type[models.Model], values: dict[str, Any]) -> bool:
    """Whether somebody is told of new instances, or a value says that it is not there."""
    if pre_init.receivers and pre_init.has_listeners(model):
        return True
    return bool(post_init.receivers and post_init.has_listeners(model)) or models.DEFERRED in values.values()
