"""The doctor: looks at everything that consuming rests on, and says what is wrong and how to mend it.

One file a subject; each registers its checks when it is imported.
"""

from consumers.doctor import (  # noqa: F401  (each registers itself)
    alerts,
    broker,
    clocks,
    database,
    groups,
    pool,
    project,
    rights,
    tables,
    timing,
    topics,
)
from consumers.doctor.examination import examine
from consumers.doctor.finding import Finding, Severity, exit_code
from consumers.doctor.patient import Patient
from consumers.doctor.registry import check

__all__ = ["Finding", "Patient", "Severity", "check", "examine", "exit_code"]
