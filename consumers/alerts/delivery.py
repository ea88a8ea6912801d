"""Delivery of what is in the outbox: at least once, by whichever process comes first."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from consumers.alerts.channels import NotDelivered, send
from consumers.alerts.message import AlertMessage
from consumers.concurrency import monotonic
from consumers.core.alerting import AlertPolicy
from consumers.database import release_connections
from consumers.models import AlertDelivery
from consumers.settings import engine_settings

logger = logging.getLogger(__name__)

ATTEMPTS = 12
"""Then it is given up: after about half a day."""
_FIRST, _LONGEST = 10.0, 3600.0
_MARGIN = 60.0

State = AlertDelivery.State


def deliver_due(using: str | None = None, most: int = 10) -> int:
    """Send what is due, `most` deliveries at the most; returns how many arrived.

    Called again and again by every consuming process, by `reprocess_failures --watch`, and by whoever likes. Each takes
    other deliveries; those that a process took and did not finish are due again after a while. Nothing is sent inside a
    transaction. No attempt begins after `webhook_timeout`, which also bounds each, so that a dead receiver holds up the
    caller for no more than twice that.
    """
    settings = engine_settings()
    policy, using = settings.alert_policy(), using or settings.database
    arrived, ends = 0, monotonic() + policy.webhook_timeout
    for _ in range(most):
        delivery = _take(policy, using) if monotonic() < ends else None
        if delivery is None:
            break
        arrived += _attempt(delivery, policy)
    return arrived


def _take(policy: AlertPolicy, using: str) -> AlertDelivery | None:
    """One that is due, made ours for as long as sending it may take."""
    now = timezone.now()
    due = AlertDelivery.objects.using(using).filter(state=State.WAITING, next_at__lte=now).order_by("next_at")
    if not due.exists():
        return None
    with transaction.atomic(using=using):
        delivery = due.select_related("alert").select_for_update(of=("self",), skip_locked=True).first()
        if delivery is not None:
            delivery.next_at = now + timedelta(seconds=policy.webhook_timeout + _MARGIN)
            delivery.attempts += 1
            delivery.save(update_fields=["next_at", "attempts"])
    return delivery


def _attempt(delivery: AlertDelivery, policy: AlertPolicy) -> bool:
    now = timezone.now()
    release_connections()  # a receiver may take its time, and the pool's reserve is small
    try:
        send(delivery.channel, AlertMessage.of(delivery.alert, policy.site), policy)
    except NotDelivered as error:
        _failed(delivery, str(error), now)
        return False
    delivery.state, delivery.sent_at, delivery.error = State.SENT, now, ""
    delivery.save(update_fields=["state", "sent_at", "error"])
    return True


def _failed(delivery: AlertDelivery, why: str, now: datetime) -> None:
    given_up = delivery.attempts >= ATTEMPTS
    delivery.error = why[:1_000]
    delivery.state = State.GIVEN_UP if given_up else State.WAITING
    delivery.next_at = now + timedelta(seconds=pause_after(delivery.attempts))
    delivery.save(update_fields=["error", "state", "next_at"])
    what = "given up" if given_up else f"next attempt at {delivery.next_at:%H:%M:%S}"
    logger.warning("alert %d by %s: %s; %s", delivery.alert_id, delivery.channel, why, what)


def pause_after(attempts: int) -> float:
    """Seconds until the next attempt, after so many that failed."""
    return float(min(_LONGEST, _FIRST * 2.0 ** min(attempts - 1, 20)))
