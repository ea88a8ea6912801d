"""Alerts: whether anybody would hear of trouble."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings as django_settings

from consumers.core.alerting import AlertPolicy
from consumers.core.errors import Misconfigured
from consumers.core.hosts import is_loopback
from consumers.doctor.finding import Severity
from consumers.doctor.patient import Patient
from consumers.doctor.registry import Remark, check


@check("alerts")
def alerts(patient: Patient) -> Iterator[Remark]:
    """There is a way out, nobody on it can read along, and what is told leads to the admin."""
    try:
        policy = patient.settings.alert_policy()
    except Misconfigured as error:
        yield Severity.ERROR, str(error), "Change settings.CONSUMERS['alerts']."
        return
    remarks = [*_channels(policy), *_mail(policy), *_webhook(policy)]
    yield from remarks
    if not remarks:
        yield Severity.OK, f"alerts go out by {', '.join(policy.channels)}"


def _channels(policy: AlertPolicy) -> Iterator[Remark]:
    if policy.channels == ["signal"]:
        text = "alerts reach only what listens to the signal in this project: no e-mail, no webhook"
        yield Severity.INFO, f"{text} (settings.CONSUMERS['alerts'])"
    elif not policy.site:
        mend = "Set site in settings.CONSUMERS['alerts'] to the address of the admin."
        yield Severity.WARNING, "alerts name pages of the admin without its address", mend


def _mail(policy: AlertPolicy) -> Iterator[Remark]:
    is_smtp = django_settings.EMAIL_BACKEND.endswith("smtp.EmailBackend")
    if policy.emails and not is_smtp:
        text = f"alerts are mailed by {django_settings.EMAIL_BACKEND}, which may send nothing"
        yield Severity.WARNING, text, "Set EMAIL_BACKEND and the other settings of e-mail."
    is_safe = django_settings.EMAIL_USE_TLS or django_settings.EMAIL_USE_SSL or is_loopback(django_settings.EMAIL_HOST)
    if policy.emails and is_smtp and not is_safe:
        yield Severity.WARNING, f"alerts are mailed to {django_settings.EMAIL_HOST} in clear", "Set EMAIL_USE_TLS."


def _webhook(policy: AlertPolicy) -> Iterator[Remark]:
    if policy.webhook.startswith("http://"):
        text = "the webhook is called without TLS: anybody on the way can read what fails"
        yield Severity.WARNING, text, "Give it an https:// address."
