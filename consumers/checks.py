"""System checks: a misconfiguration is named before the first record is read, with the number to change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import FieldDoesNotExist
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model, UniqueConstraint

from consumers import registry
from consumers.consumer import BatchConsumer
from consumers.core.errors import Misconfigured
from consumers.ingest import IngestManager, off_the_fast_path
from consumers.settings import EngineSettings, engine_settings

Consumer = type[BatchConsumer[Any, Any]]


@register()
def check_consumers(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """Each registered consumer says all that the engine needs to know."""
    return [message for consumer in registry.all_consumers() for message in _consumer(consumer)]


@register()
def check_concurrency(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """Lanes, permits and the pool cannot starve each other."""
    try:
        return list(_concurrency(engine_settings()))
    except Misconfigured as error:
        return [Error(str(error), id="consumers.E001")]


@register()
def check_database(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """Consumers work on the database that the admin looks at."""
    with suppress(Misconfigured):  # check_concurrency tells of it
        name = engine_settings().database
        if name != DEFAULT_DB_ALIAS:
            return [_not_shown(name)]
    return []


def _not_shown(name: str) -> CheckMessage:
    return Warning(
        f"consumers work on the database {name!r}, and the admin shows {DEFAULT_DB_ALIAS!r}: neither failures nor "
        "workers will be seen there, and orders given there reach nobody",
        hint=f"Make the consumers' database the {DEFAULT_DB_ALIAS!r} one, of the admin's processes at the least.",
        id="consumers.W006",
    )


@register()
def check_alerts(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """What is configured for alerts makes sense; it would be found out only by the first one otherwise."""
    try:
        engine_settings().alert_policy()
    except Misconfigured as error:
        return [Error(str(error), id="consumers.E005")]
    return []


def _concurrency(settings: EngineSettings) -> Iterator[CheckMessage]:
    if settings.lanes < 1:
        yield Error("settings.CONSUMERS['lanes'] must be at least 1", id="consumers.E002")
    if settings.permits > settings.pool_size - 1 and settings.pool_size > 1:
        yield Error(
            f"{settings.permits} database permits leave nothing of a pool of {settings.pool_size} connections",
            hint="Raise DATABASE_POOL_SIZE, or lower settings.CONSUMERS['database_permits'].",
            id="consumers.E003",
        )
    if settings.lanes > settings.permits:
        yield Warning(
            f"{settings.lanes} lanes share {settings.permits} database permits: some will only wait",
            hint=f"Set CONSUMERS_LANES to {settings.permits}, or DATABASE_POOL_SIZE to "
            f"{settings.lanes + settings.database_reserve}.",
            id="consumers.W004",
        )


def _consumer(consumer: Consumer) -> Iterator[CheckMessage]:
    missing = [name for name in ("topics", "event", "model", "unique") if not getattr(consumer, name, None)]
    if missing:
        yield Error(f"consumer {consumer.name!r} does not set {', '.join(missing)}", obj=consumer, id="consumers.E010")
        return
    if isinstance(consumer.topics, str):
        yield Error(
            f"topics of consumer {consumer.name!r} is a string",
            hint="Make it a list.",
            obj=consumer,
            id="consumers.E011",
        )
    if not (isinstance(consumer.event, type) and issubclass(consumer.event, msgspec.Struct)):
        yield Error(f"event of consumer {consumer.name!r} is not a msgspec.Struct", obj=consumer, id="consumers.E012")
    if consumer.process is BatchConsumer.process:
        yield Error(f"consumer {consumer.name!r} does not define process()", obj=consumer, id="consumers.E013")
    if consumer.on_conflict not in ("ignore", "compare"):
        yield Error(
            f"on_conflict of consumer {consumer.name!r} is {consumer.on_conflict!r}",
            hint='Use "ignore" or "compare".',
            obj=consumer,
            id="consumers.E014",
        )
    yield from _unique(consumer)


@register()
def check_fast_path(app_configs: object, **kwargs: object) -> list[CheckMessage]:
    """Models that ask for COPY, by an IngestManager, can have it."""
    return [message for consumer in registry.all_consumers() for message in _fast_path(consumer)]


def _fast_path(consumer: Consumer) -> Iterator[CheckMessage]:
    model, unique = getattr(consumer, "model", None), tuple(getattr(consumer, "unique", ()))
    if model is None or not isinstance(model._default_manager, IngestManager):
        return
    with suppress(FieldDoesNotExist):  # check_consumers tells of it
        if why := off_the_fast_path(model, unique):
            yield Warning(
                f"{model._meta.label}, which consumer {consumer.name!r} writes, cannot be written by COPY: {why}",
                hint="It is written by INSERT, at two to three times the cost. Use one of Django's own fields there.",
                obj=consumer,
                id="consumers.W005",
            )


def _unique(consumer: Consumer) -> Iterator[CheckMessage]:
    model, names = consumer.model, tuple(consumer.unique)
    try:
        fields = [model._meta.get_field(name) for name in names]
    except FieldDoesNotExist as error:
        yield Error(f"unique of consumer {consumer.name!r}: {error}", obj=consumer, id="consumers.E015")
        return
    alone = len(fields) == 1 and getattr(fields[0], "unique", False)
    if not alone and set(names) not in _unique_sets(model):
        yield Error(
            f"{model._meta.label} has no unique constraint on {', '.join(names)}, the key of {consumer.name!r}",
            hint="Without one a record delivered twice is written twice. Add a UniqueConstraint.",
            obj=consumer,
            id="consumers.E016",
        )


def _unique_sets(model: type[Model]) -> list[set[str]]:
    constraints = [
        set(constraint.fields)
        for constraint in model._meta.constraints
        if isinstance(constraint, UniqueConstraint) and constraint.condition is None
    ]
    return constraints + [set(names) for names in model._meta.unique_together]
