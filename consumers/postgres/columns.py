"""Which columns COPY can fill, and what kind of values each of them takes as they are."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import Any, TypeAlias

from django.db import models

Field: TypeAlias = "models.Field[Any, Any]"


class Kind(Enum):
    """What a column takes as it is; any other value needs the field's own conversion."""

    TEXT = auto()
    UUID = auto()
    BOOLEAN = auto()
    INTEGER = auto()
    DECIMAL = auto()
    FLOAT = auto()
    BYTES = auto()
    DATE = auto()
    DATETIME = auto()
    TIME = auto()
    ADDRESS = auto()
    IPV4 = auto()
    """An address whose column would write one of IPv4 in IPv6's clothes anew."""
    JSON = auto()
    CONVERTED = auto()
    """Nothing: each value is converted by the field."""


_KINDS: dict[type[Field], Kind] = {
    models.UUIDField: Kind.UUID,
    models.BooleanField: Kind.BOOLEAN,
    models.DecimalField: Kind.DECIMAL,
    models.FloatField: Kind.FLOAT,
    models.BinaryField: Kind.BYTES,
    models.DateField: Kind.DATE,
    models.DateTimeField: Kind.DATETIME,
    models.TimeField: Kind.TIME,
    models.DurationField: Kind.CONVERTED,
    models.GenericIPAddressField: Kind.ADDRESS,
    models.JSONField: Kind.JSON,
    **dict.fromkeys(
        (models.CharField, models.TextField, models.SlugField, models.EmailField, models.URLField), Kind.TEXT
    ),
    **dict.fromkeys(
        (
            *(models.SmallIntegerField, models.IntegerField, models.BigIntegerField),
            *(models.PositiveSmallIntegerField, models.PositiveIntegerField, models.PositiveBigIntegerField),
            *(models.SmallAutoField, models.AutoField, models.BigAutoField),
        ),
        Kind.INTEGER,
    ),
}

_VALUE_HOOKS = ("get_db_prep_save", "get_db_prep_value", "get_prep_value", "to_python")
_SHAPE_HOOKS = ("pre_save", "db_type", "db_parameters", "cast_db_type", "get_internal_type", "get_placeholder")


def unsupported(model: type[models.Model]) -> str | None:
    """Why rows of this model cannot go by COPY, naming the field at fault; None if they can."""
    for field in model._meta.concrete_fields:
        if field.model._meta.concrete_model is not model._meta.concrete_model:
            return f"{field.name} belongs to another table ({field.model._meta.label})"
        if not field.generated and _known(field) is None:
            return f"{field.name} is a {type(field).__name__}"
    for constraint in model._meta.constraints:
        if getattr(constraint, "deferrable", None):
            return f"{constraint.name} is a deferrable constraint"
    return None


def kind_of(field: Field) -> Kind:
    """What the column of this field, of a model that COPY supports, takes as it is."""
    return _known(field) or Kind.CONVERTED


def _known(field: Field) -> Kind | None:
    """None if the field may do what COPY cannot."""
    if isinstance(field, models.ForeignKey):
        if _same(field, models.ForeignKey, (*_VALUE_HOOKS, *_SHAPE_HOOKS)):
            return _known(field.target_field)
        return None
    base = next((base for base in type(field).__mro__ if base in _KINDS), None)
    if base is None or not _same(field, base, _SHAPE_HOOKS):
        return None
    return _plain(field, base) if _same(field, base, _VALUE_HOOKS) else Kind.CONVERTED


def _plain(field: Any, base: type[Field]) -> Kind:
    if base is models.GenericIPAddressField and field.unpack_ipv4:
        return Kind.IPV4
    return _KINDS[base]


def _same(field: object, known: type, hooks: Iterable[str]) -> bool:
    return all(getattr(type(field), hook, None) is getattr(known, hook, None) for hook in hooks)
