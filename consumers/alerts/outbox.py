"""The outbox: alerts are stored with what led to them, so that neither can be there without the other."""

from __future__ import annotations

import hashlib
import logging
from datetime import timedelta

from django.db import connections, transaction
from django.utils import timezone

from consumers.models import Alert, AlertDelivery, FailureGroup
from consumers.settings import engine_settings

logger = logging.getLogger(__name__)


def raise_alert(
    kind: str,
    *,
    key: str,
    title: str,
    detail: str = "",
    path: str = "",
    group: FailureGroup | None = None,
    cool_down: float | None = None,
    using: str | None = None,
) -> bool:
    """Put an alert into the outbox; `deliver_due` sends it.

    `key` is what it is about. Within `cool_down` seconds (None: as configured) a second alert of the same kind and key
    is not raised, whichever processes notice it. Returns whether it was.
    """
    settings = engine_settings()
    policy, using = settings.alert_policy(), using or settings.database
    if kind not in policy.kinds:
        return False
    now = timezone.now()
    since = now - timedelta(seconds=policy.cool_down if cool_down is None else cool_down)
    key = key[:500]
    with transaction.atomic(using=using):
        _lock(f"{kind} {key}", using)
        if Alert.objects.using(using).filter(kind=kind, key=key, at__gt=since).exists():
            return False
        stored = Alert.objects.using(using).create(
            kind=kind, key=key, title=title[:300], detail=detail, path=path, group=group, at=now
        )
        AlertDelivery.objects.using(using).bulk_create(
            AlertDelivery(alert=stored, channel=channel, next_at=now) for channel in policy.channels
        )
    logger.info("alert: %s", title)
    return True


def _lock(what: str, using: str) -> None:
    """Until this transaction ends, nobody else decides about the same alert."""
    number = int.from_bytes(hashlib.sha256(f"consumers.alerts {what}".encode()).digest()[:8], signed=True)
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])
