"""What the doctor has to say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any


class Severity(IntEnum):
    """In order; the gravest finding decides the exit code."""

    OK = 0
    INFO = 1
    """Worth knowing; nothing to mend."""
    WARNING = 2
    """Works, but will hurt some day."""
    ERROR = 3
    """Consuming cannot work, or loses its guarantees."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `mend` is what to do about it, in a sentence; empty where nothing is to be done."""

    severity: Severity
    subject: str
    text: str
    mend: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "severity": self.severity.name.lower()}


def exit_code(findings: Iterable[Finding]) -> int:
    """0 for nothing worse than INFO, 1 for a warning, 2 for an error."""
    worst = max((finding.severity for finding in findings), default=Severity.OK)
    return max(0, worst - Severity.INFO)
