"""The project's settings, and what Django's own system checks say of the consumers."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings as django_settings
from django.core import checks as system_checks
from django.core.checks.security.base import SECRET_KEY_INSECURE_PREFIX, SECRET_KEY_MIN_LENGTH

from consumers.doctor.finding import Severity
from consumers.doctor.patient import Patient
from consumers.doctor.registry import Remark, check


@check("settings")
def project(patient: Patient) -> Iterator[Remark]:
    """What a production installation should not be started with."""
    remarks = [*_debug(), *_secret_key(), *_hosts()]
    yield from remarks or [(Severity.OK, "DEBUG is off, the secret key is long, hosts are named")]


@check("consumers")
def consumers(patient: Patient) -> Iterator[Remark]:
    """Errors in a consumer's declaration, lanes without a permit, models that fall off the fast path."""
    found = [each for each in system_checks.run_checks() if str(each.id).startswith("consumers.")]
    for each in found:
        severity = Severity.ERROR if each.level >= system_checks.ERROR else Severity.WARNING
        yield severity, f"{each.msg} ({each.id})", each.hint or "See the message: it names the attribute to set."
    if not found:
        names = ", ".join(consumer.name for consumer in patient.consumers)
        yield (
            Severity.OK,
            f"the system checks have nothing against {names or 'the settings (no consumer is registered)'}",
        )


def _debug() -> Iterator[Remark]:
    if django_settings.DEBUG:
        text = "DEBUG is on: every query of a consumer is kept in memory, and error pages show the settings"
        yield Severity.WARNING, text, "Set DEBUG=off."


def _secret_key() -> Iterator[Remark]:
    key = str(django_settings.SECRET_KEY)
    is_example = key.startswith(SECRET_KEY_INSECURE_PREFIX)
    if is_example or len(key) < SECRET_KEY_MIN_LENGTH:
        what = "a generated example" if is_example else f"only {len(key)} characters long"
        yield (
            Severity.WARNING,
            f"SECRET_KEY is {what}",
            f"Set SECRET_KEY to at least {SECRET_KEY_MIN_LENGTH} random characters.",
        )


def _hosts() -> Iterator[Remark]:
    if "*" in django_settings.ALLOWED_HOSTS:
        yield (
            Severity.WARNING,
            "ALLOWED_HOSTS lets the admin answer to any host name",
            "List the names in ALLOWED_HOSTS.",
        )
