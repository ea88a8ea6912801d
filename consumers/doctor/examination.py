"""Runs the checks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from django.db import Error as DatabaseError

from consumers.core.errors import ConsumerError
from consumers.doctor.finding import Finding, Severity
from consumers.doctor.patient import Patient
from consumers.doctor.registry import Check, checks
from consumers.postgres.errors import describe

HIDDEN = "***"


def examine(patient: Patient, chosen: Sequence[Check] | None = None) -> list[Finding]:
    """What all checks find, in their order. Nothing is changed anywhere, nothing raises, no secret is told."""
    try:
        return [_without_secrets(finding, patient) for check in chosen or checks() for finding in _run(check, patient)]
    finally:
        patient.close()


def _run(check: Check, patient: Patient) -> Iterator[Finding]:
    missing = [
        need
        for need in check.needs
        if (need == "database" and patient.database_fault) or (need == "broker" and patient.broker_fault)
    ]
    if missing:
        yield Finding(Severity.INFO, check.subject, f"not looked at: the {missing[0]} does not answer")
        return
    try:
        yield from check.findings(patient)
    except (DatabaseError, ConsumerError) as error:
        told = str(error) if isinstance(error, ConsumerError) else describe(error)
        yield Finding(
            Severity.ERROR, check.subject, f"could not be looked at: {told}", "Mend this first, then look again."
        )


def _without_secrets(finding: Finding, patient: Patient) -> Finding:
    text, mend = finding.text, finding.mend
    for secret in patient.secrets():
        word = re.compile(rf"(?<!\w){re.escape(secret)}(?!\w)")
        text, mend = word.sub(HIDDEN, text), word.sub(HIDDEN, mend)
    return Finding(finding.severity, finding.subject, text, mend)
