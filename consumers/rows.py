"""Cheap rows: what a consumer may return instead of instances of its model, at a tenth of their price."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from django.db import models

MODEL = "_model"
"""The attribute of a row's class that holds its model."""


@cache
def row_type(model: type[models.Model]) -> type[Any]:
    """A class for rows of `model`: its columns under their attnames (`campaign_id`), given by keyword.

    Defaults are the model's, a callable one being called for each row; a column that may be NULL, or that is filled in
    when it is written (`auto_now`, a number of the database's), has None. Any other must be given, also a text, for
    which Django would fill in "". Nothing is converted or checked until the row is written, and then as `bulk_create`
    does. The garbage collector does not know of rows, so that they must not be part of a cycle.
    """
    fields = [_field(field) for field in model._meta.concrete_fields if not field.generated]
    return msgspec.defstruct(
        f"{model.__name__}Row", fields, namespace={MODEL: model}, module=model.__module__, kw_only=True, gc=False
    )


def to_model(row: Any) -> models.Model:
    """The instance of its model that a row stands for, as the model's constructor makes it."""
    model: type[models.Model] = getattr(type(row), MODEL)
    return model(**msgspec.structs.asdict(row))


def is_row(value: object) -> bool:
    """Whether a value is of a class that `row_type` made."""
    return hasattr(type(value), MODEL)


def _field(field: Any) -> tuple[Any, ...]:
    """A column as msgspec's `defstruct` wants it: name, type and, unless it must be given, a default."""
    if field.has_default() and not callable(field.default):
        constant = field.get_default()
        shared = isinstance(constant, list | dict | set)
        return field.attname, Any, msgspec.field(default_factory=field.get_default) if shared else constant
    if field.has_default():
        return field.attname, Any, msgspec.field(default_factory=_factory(field))
    if field.has_db_default():
        return field.attname, Any, field.get_default()  # says "the database's"; one object serves all rows
    filled_in = field is field.model._meta.auto_field or _is_stamped(field)
    if field.null or filled_in:
        return field.attname, Any, None
    return field.attname, Any


def _is_stamped(field: Any) -> bool:
    return bool(getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False))


def _factory(field: Any) -> Any:
    """The default's own function where that is all there is to it: one call less for every row."""
    return field.get_default if field.is_relation else field.default
