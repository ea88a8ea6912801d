"""How a run stands, in words and figures: what its page shows, and what that page asks for again and again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from consumers.inbox.runs.judge import step_of
from consumers.models import RetryProgress, RetryRun

State = RetryRun.State

SILENCE = timedelta(seconds=15)
"""A run that is active and was not worked on for longer has nobody who works on it."""

HOW_TO_WORK = "manage.py reprocess_failures --watch"


@dataclass(frozen=True)
class Standing:
    """A run with its progress, read together."""

    run: RetryRun
    progress: RetryProgress
    in_hand: bool
    """Somebody works on it at this very moment."""

    @property
    def left(self) -> int:
        """Records that have not had their turn."""
        done = self.progress.attempted + self.progress.skipped
        return 0 if self.run.state == State.DONE else max(0, self.progress.total - done)

    @property
    def passed_over(self) -> int:
        """Of a run that is done, records that were not attempted: settled meanwhile, or in another process's hands."""
        return max(0, self.progress.total - self.progress.attempted) if self.run.state == State.DONE else 0

    @property
    def per_cent(self) -> int:
        """How much of it is done, 0 to 100; 100 only at the end."""
        if self.run.state == State.DONE:
            return 100
        return min(99, 100 * (self.progress.total - self.left) // self.progress.total) if self.progress.total else 0

    @property
    def speed(self) -> float | None:
        """Records a second since it began, for as long as it runs; None while that can't be told."""
        progress = self.progress
        if self.run.state != State.RUNNING or not progress.started_at or not progress.heartbeat_at:
            return None
        seconds = (progress.heartbeat_at - progress.started_at).total_seconds()
        return progress.attempted / seconds if seconds >= 1 else None

    def nobody_works(self, now: datetime) -> bool:
        """It should be worked on, and has not been for a while."""
        if not self.run.is_active or self.in_hand:
            return False
        pace = timedelta(seconds=1 / self.run.rate) if self.run.rate else timedelta()
        last = max(self.run.state_at, self.progress.heartbeat_at or self.run.state_at)
        return now - last > SILENCE + pace

    def text(self, now: datetime) -> str:
        """One or two sentences: what it does, and what it needs."""
        run, progress = self.run, self.progress
        if self.nobody_works(now):
            return f"Nobody is working on this run. Start a worker: {HOW_TO_WORK}"
        if run.state == State.QUEUED and not self.in_hand:
            return "Waiting for a worker."
        if run.is_active:
            step = step_of(run.ramp, progress.step, progress.step_attempted)
            return f"Working: step {step.number + 1}, of {step.size:,} records; then what failed again is judged."
        why = f": {run.state_reason}" if run.state_reason else ""
        whom = f" by {run.state_by}" if run.state_by else ""
        return f"{run.get_state_display().capitalize()}{whom}{why}."

    def as_json(self, now: datetime) -> dict[str, Any]:
        """What a page shows of it, as plain data."""
        progress = self.progress
        return {
            "state": self.run.state,
            "text": self.text(now),
            "nobody": self.nobody_works(now),
            "ended": self.run.is_ended,
            "total": progress.total,
            "exact": progress.is_counted,
            "succeeded": progress.succeeded,
            "failed_again": progress.failed_again,
            "skipped": progress.skipped,
            "left": self.left,
            "per_cent": self.per_cent,
            "speed": self.speed,
            "step": progress.step,
            "by_reason": dict(sorted(progress.by_reason.items(), key=lambda item: -item[1])[:20]),
            "heartbeat_at": progress.heartbeat_at.isoformat() if progress.heartbeat_at else None,
            "worker": progress.worker,
        }


def standing_of(run: RetryRun, using: str) -> Standing:
    """The run as it is now."""
    rows = RetryProgress.objects.using(using).filter(pk=run.pk)
    return Standing(run, rows.get(), in_hand=run.is_active and _is_locked(rows, using))


def _is_locked(rows: QuerySet[RetryProgress], using: str) -> bool:
    """Whether a worker holds the lock. Asking takes it for a moment; a worker that looks just then comes back."""
    with transaction.atomic(using=using):
        return not list(rows.select_for_update(skip_locked=True, no_key=True).values_list("pk"))
