"""The doctor's checks: each looks at one subject, and can be added to from any app."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from consumers.doctor.finding import Finding, Severity
from consumers.doctor.patient import Patient

Needs = Literal["", "database", "broker"]
Remark = tuple[Severity, str] | tuple[Severity, str, str]
"""(severity, text) or (severity, text, mend); the subject is the check's."""
Look = Callable[[Patient], Iterator[Remark]]


@dataclass(frozen=True)
class Check:
    """`look` is called only where what it needs answers; an error that it raises becomes a finding."""

    subject: str
    needs: tuple[Needs, ...]
    look: Look

    def findings(self, patient: Patient) -> Iterator[Finding]:
        for severity, text, *mend in self.look(patient):
            yield Finding(severity, self.subject, text, *mend)


ORDER = (
    *("settings", "consumers", "times", "alerts"),
    *("database", "database TLS", "migrations", "rights", "tables", "indexes", "pool", "statement times"),
    *("broker", "broker TLS", "topics", "retention", "groups", "session times"),
    *("clock of the database", "clock of records"),
)

_checks: dict[str, Check] = {}


def check(subject: str, *needs: Needs) -> Callable[[Look], Look]:
    """Decorator: have the doctor look at `subject`."""

    def decorate(look: Look) -> Look:
        _checks[subject] = Check(subject, needs, look)
        return look

    return decorate


def checks() -> list[Check]:
    """In the order in which one would look; those of other apps come last."""
    return sorted(_checks.values(), key=lambda each: ORDER.index(each.subject) if each.subject in ORDER else len(ORDER))
