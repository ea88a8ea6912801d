"""The ways that an alert takes: a signal of Django's, e-mail, a webhook. Each sends one message or raises."""

from __future__ import annotations

import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

from django.core.mail import send_mail
from django.dispatch import Signal

from consumers.alerts.message import AlertMessage
from consumers.alerts.signing import sign
from consumers.core.alerting import AlertPolicy
from consumers.core.printable import printable

logger = logging.getLogger(__name__)

alert = Signal()
"""Sent with `alert`, an AlertMessage, in the process that delivers it. A receiver's error is logged, not repeated."""


class NotDelivered(Exception):
    """It did not arrive; the text says why, without addresses or secrets."""


def send(channel: str, message: AlertMessage, policy: AlertPolicy) -> None:
    """Send a message by one of the policy's channels.

    Raises:
        NotDelivered: to be tried again later.
    """
    _SENDERS[channel](message, policy)


def _signal(message: AlertMessage, policy: AlertPolicy) -> None:
    for receiver, answer in alert.send_robust(sender=AlertMessage, alert=message):
        if isinstance(answer, Exception):
            logger.error("a receiver of alerts failed: %r", receiver, exc_info=answer)


def _email(message: AlertMessage, policy: AlertPolicy) -> None:
    if not policy.emails:
        return  # no longer configured
    subject = printable(" ".join(message.title.split()))[:200]
    try:
        send_mail(f"[{message.kind}] {subject}", _body(message), None, list(policy.emails))
    except (OSError, ValueError) as error:  # SMTPException is an OSError
        raise NotDelivered(f"the mail server: {type(error).__name__}: {error}") from error


def _body(message: AlertMessage) -> str:
    parts = (message.title, message.detail, message.url, f"{message.at:%Y-%m-%d %H:%M:%S %Z}")
    return "\n\n".join(printable(part, keep="\n\t") for part in parts if part)


def _webhook(message: AlertMessage, policy: AlertPolicy) -> None:
    if not policy.webhook:
        return
    request = _request(message, policy)
    try:
        with _opener.open(request, timeout=policy.webhook_timeout) as answer:
            answer.read(1)
    except urllib.error.HTTPError as error:
        with error:
            raise NotDelivered(f"the webhook answered {error.code} {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise NotDelivered(f"the webhook can't be reached: {type(reason).__name__}: {reason}") from error


def _request(message: AlertMessage, policy: AlertPolicy) -> urllib.request.Request:
    body = json.dumps(message.as_dict()).encode()
    now = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "kafka-batch-consumers",
        "X-Consumers-Alert": str(message.id),
        "X-Consumers-Timestamp": str(now),
        "X-Consumers-Signature": sign(policy.webhook_secret, now, body),
    }
    # The settings refuse other schemes than http and https.
    return urllib.request.Request(policy.webhook, body, headers, method="POST")  # noqa: S310


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """What was meant for one address is not sent to another."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)

_SENDERS: dict[str, Callable[[AlertMessage, AlertPolicy], None]] = {
    "signal": _signal,
    "email": _email,
    "webhook": _webhook,
}
