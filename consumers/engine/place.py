"""The places of a supervisor: each is held by one process after another."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import Any

from consumers.core.policies import Backoff
from consumers.core.summaries import add_up, longest
from consumers.engine.child import Child


@dataclass(frozen=True, kw_only=True)
class RestartPolicy:
    """When a process that died is started again. Times in seconds."""

    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.5, cap=30.0))
    """The pause before it is, after so many failures in a row."""
    at_once: float = 30.0
    """It failed at once if it lived no longer than this; having lived longer, its failures are counted anew."""
    attempts: int = 5
    """So many failures in a row, each at once, and all are given up."""
    abort: float = 10.0
    """What has not ended so long after it was told to abort is killed."""


@dataclass
class Place:
    """One of the N: whatever process holds it now, and what became of those before."""

    number: int
    child: Child | None = None
    code: int | None = None
    """How the last one ended, once none is to follow."""
    due: float = 0.0
    """When the next one is to be started, in monotonic seconds."""
    failures: int = 0
    """In a row, each at once."""
    restarts: int = 0
    reports: list[dict[str, Any]] = field(default_factory=list)
    """The last summary of each process that has ended."""
    is_complete: bool = True
    """Whether each of those was sent at the process's end."""

    def bury(self, child: Child) -> None:
        self.child = None
        self.reports.append(child.report)
        self.is_complete = self.is_complete and child.is_final

    def summary(self) -> dict[str, Any]:
        """The counts and seconds of all its processes; what else there is of the last one's."""
        each = [*self.reports, self.child.report] if self.child else self.reports
        last = each[-1] if each else {}
        seconds = sum(longest([one]) for one in each)
        own = {"process": self.number, "restarts": self.restarts, "exit_code": self.code}
        return {**own, **last, **add_up(each), "seconds": round(seconds, 3)}


def how_it_ended(code: int) -> str:
    """An exit code in words; minus the number of a signal is one that killed it."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
