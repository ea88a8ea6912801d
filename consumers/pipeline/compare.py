"""Whether a row agrees with the one that the table has under its key, for consumers that compare."""

from __future__ import annotations

from typing import Any

from django.db import models

from consumers.consumer import BatchConsumer
from consumers.core.errors import Misconfigured, RecordError


class Conflict(RecordError):
    """The key is in the table, with other content."""


class Comparison:
    """What a consumer compares; nothing if it ignores conflicts."""

    def __init__(self, consumer: BatchConsumer[Any, Any]) -> None:
        self.compares = consumer.on_conflict == "compare"
        self._unique = tuple(consumer.unique)
        names = compared_fields(consumer) if self.compares else ()
        self._fields: list[Any] = [consumer.model._meta.get_field(name) for name in names]

    def check(self, row: Any, other: models.Model) -> None:
        """Compare the contents of two rows of one key.

        Raises:
            Conflict: they differ; the message says in which fields.
        """
        differing = [field.name for field in self._fields if _value(row, field) != _value(other, field)]
        if differing:
            key = "/".join(str(getattr(other, name)) for name in self._unique)
            raise Conflict("conflict", f"the key {key} exists with other {', '.join(differing)}")


def _value(row: Any, field: Any) -> Any:
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
