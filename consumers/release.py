"""Failed records that are due again: those whose parent row has come, and those that nothing holds back any more.

To release a record is to set its `retry_after` to now; `reprocess_failures --watch` then processes it. Where a parent
is saved through Django, what waited for it is processed at once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models.signals import post_save
from django.utils import timezone

from consumers import registry
from consumers.concurrency import in_scope
from consumers.models import PENDING, FailedRecord
from consumers.pipeline.failures import parent_token
from consumers.pipeline.hold import HELD_BACK
from consumers.settings import engine_settings

logger = logging.getLogger(__name__)

_PAGE = 1_000


def release_due(using: str) -> int:
    """Release all records whose parent has come or that are not held back any more; returns how many."""
    return _release_with_parents(using) + _release_unheld(using)


def _release_with_parents(using: str) -> int:
    released = 0
    for tokens in _pages(using):
        found = [token for label, group in groupby(tokens, _label) for token in _existing(label, list(group), using)]
        released += _set_due(_waiting(using).filter(waits_for__in=found)) if found else 0
    return released


def _pages(using: str) -> Iterator[list[str]]:
    """The rows that records wait for, sorted, a thousand at a time."""
    last = ""
    while True:
        waiting = _waiting(using).filter(waits_for__gt=last).order_by("waits_for")
        page = list(waiting.values_list("waits_for", flat=True).distinct()[:_PAGE])
        if not page:
            return
        yield page
        last = page[-1]


def _existing(label: str, tokens: Sequence[str], using: str) -> list[str]:
    """Those of the tokens, all of one model, whose row is there."""
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError):
        return []  # the model is gone: an operator will see what still waits
    keys = {}
    for token in tokens:
        try:
            keys[model._meta.pk.to_python(token.partition(":")[2])] = token
        except ValidationError:
            continue
    present = model._base_manager.using(using).filter(pk__in=keys).values_list("pk", flat=True)
    return [keys[pk] for pk in present]


def _release_unheld(using: str) -> int:
    """Release the first of the records held back by their key: the others follow it, in order."""
    earlier = FailedRecord.objects.filter(
        PENDING,
        order_key=models.OuterRef("order_key"),
        group=models.OuterRef("group"),
        topic=models.OuterRef("topic"),
        partition=models.OuterRef("partition"),
        offset__lt=models.OuterRef("offset"),
    )
    held = FailedRecord.objects.using(using).filter(PENDING, ~models.Q(order_key=""), reason=HELD_BACK)
    return _set_due(held.filter(~models.Exists(earlier), retry_after=None))


def _waiting(using: str) -> models.QuerySet[FailedRecord]:
    return FailedRecord.objects.using(using).filter(PENDING, ~models.Q(waits_for=""), retry_after=None)


def _set_due(records: models.QuerySet[FailedRecord]) -> int:
    return records.update(retry_after=timezone.now())


def _label(token: str) -> str:
    return token.partition(":")[0]


# ---- when a parent is saved -----------------------------------------------------------------------------------------


def watch_parents() -> None:
    """From now on, saving a row that a registered consumer names as a parent releases what waits for it."""
    for consumer in registry.all_consumers():
        for model in consumer.parents:
            post_save.connect(_saved, sender=model, dispatch_uid=f"consumers.release.{model._meta.label}")


def _saved(sender: type[models.Model], instance: models.Model, raw: bool, using: str, **kwargs: Any) -> None:
    if not raw:
        token = parent_token(sender, instance.pk)
        transaction.on_commit(partial(_release, token), using=using, robust=True)


def _release(token: str) -> None:
    """Release what waits for a row; a limited number is processed here and now, except in a consumer's own process."""
    settings = engine_settings()
    if not _set_due(_waiting(settings.database).filter(waits_for=token)):
        return
    if settings.release_on_save and not in_scope():
        from consumers.reprocess import Selection, reprocess  # loads the whole engine

        result = reprocess(Selection(waits_for=token, limit=settings.release_on_save), by=f"saving {token}")
        logger.info("%s was saved: %d records that waited for it are resolved", token, result.resolved)
