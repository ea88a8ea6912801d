"""One slice of a run: the next records, attempted and accounted for in the caller's transaction."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import groupby

from django.utils import timezone

from consumers.core.policies import BatchPolicy
from consumers.inbox.runs.judge import Step, next_step, slice_size, step_of, too_many_failed
from consumers.inbox.runs.orders import ITSELF
from consumers.inbox.runs.selection import FrozenSelection
from consumers.models import FailedRecord, RetryProgress, RetryRun
from consumers.reprocess import Processing, Result, next_ids
from consumers.settings import EngineSettings

_BYTES = BatchPolicy().chunk_bytes

State = RetryRun.State


class Slice:
    """The next records of a run, whose progress the caller has locked."""

    def __init__(self, run: RetryRun, progress: RetryProgress, settings: EngineSettings, worker: str) -> None:
        self._run = run
        self._progress = progress
        self._settings = settings
        self._worker = worker
        self._pending = FrozenSelection.of(run).pending(settings.database)
        self._step = step_of(run.ramp, progress.step, progress.step_attempted, progress.step_failed)

    def work(self) -> None:
        """Attempt the records and move the progress; the run ends when there are none left.

        Raises:
            Misconfigured: a record's consumer is not registered.
            FatalError: from the consumer's own code.
            Exception: an outage of the database.
        """
        now = timezone.now()
        self._begin(now)
        left = self._pending.filter(pk__gt=self._progress.cursor)
        ids = next_ids(left, slice_size(self._step, self._run.rate), _BYTES)
        result = self._attempt(ids)
        self._count(ids, result)
        reason = self._judge(result)
        self._end(now, result)
        self._set_state(State.DONE if not ids else State.PAUSED if reason else State.RUNNING, reason)

    def _begin(self, now: datetime) -> None:
        progress = self._progress
        progress.started_at = progress.started_at or now
        if not progress.is_counted:
            progress.total = self._pending.count()
            progress.is_counted = True

    def _attempt(self, ids: list[int]) -> Result:
        """What is pending still, and not in the hands of another process."""
        locked = (
            self._pending.filter(pk__in=ids)
            .order_by("consumer", "pk")
            .select_for_update(skip_locked=True, of=("self",))
        )
        result = Result()
        for name, rows in groupby(locked, key=_consumer):
            by = f"{self._run.by} (run {self._run.pk})"
            Processing(name, by[-150:], self._settings, self._run.pk).attempt(list(rows), result)
        return result

    def _count(self, ids: list[int], result: Result) -> None:
        progress = self._progress
        progress.cursor = ids[-1] if ids else progress.cursor
        progress.succeeded += result.resolved
        progress.failed_again += result.failed
        progress.skipped += len(ids) - result.attempted
        for reason, number in result.by_reason.items():
            progress.by_reason[reason] = progress.by_reason.get(reason, 0) + number

    def _judge(self, result: Result) -> str:
        """Move on in the ramp; returns why the run must pause, if it must. Once resumed, it begins the step anew."""
        before = self._step
        step = Step(before.number, before.size, before.attempted + result.attempted, before.failed + result.failed)
        reason = too_many_failed(step, self._run.pause_above, result.by_reason or self._progress.by_reason)
        after = step_of(self._run.ramp, step.number) if reason else next_step(self._run.ramp, step)
        progress = self._progress
        progress.step, progress.step_attempted, progress.step_failed = after.number, after.attempted, after.failed
        return reason

    def _end(self, now: datetime, result: Result) -> None:
        progress = self._progress
        progress.worker = self._worker
        progress.heartbeat_at = timezone.now()
        pace = timedelta(seconds=result.attempted / self._run.rate) if self._run.rate else timedelta()
        # Time that passed without work is not made up for, beyond a second.
        progress.due_at = max(progress.due_at, now - timedelta(seconds=1)) + pace if pace else now
        progress.save(using=self._settings.database)

    def _set_state(self, state: str, reason: str) -> None:
        """Last of all, since an order to pause waits for a lock on the run. One that came meanwhile stands."""
        runs = RetryRun.objects.using(self._settings.database).filter(pk=self._run.pk, state__in=RetryRun.ACTIVE)
        if state == State.RUNNING:
            runs.filter(state=State.QUEUED).update(state=state, state_at=timezone.now())
        else:
            runs.update(state=state, state_at=timezone.now(), state_by=ITSELF, state_reason=reason)


def _consumer(row: FailedRecord) -> str:
    return row.consumer
