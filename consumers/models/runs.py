"""What people do to mend failed records: retries of many of them, edits, and what each attempt came to."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from consumers.models.failures import FailedRecord

RAMP = (1, 5, 50, 500)
"""Records attempted before the share of those that failed again is judged; the last number holds from then on."""


def default_ramp() -> list[int]:
    return [*RAMP]


class RetryRun(models.Model):
    """Many failed records processed again, as a job: what was chosen, on whose word, and whether it may go on.

    What people order is here, what a worker has come to is in its `RetryProgress`: a worker holds that row's lock while
    it works, and an order to pause must not wait for it.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "queued"
        RUNNING = "running", "running"
        PAUSED = "paused", "paused"
        CANCELLED = "cancelled", "cancelled"
        DONE = "done", "done"

    ACTIVE: ClassVar[tuple[str, ...]] = (State.QUEUED, State.RUNNING)
    ENDED: ClassVar[tuple[str, ...]] = (State.CANCELLED, State.DONE)

    token = models.CharField(max_length=32, unique=True, help_text="of the confirmation: one makes one run")
    by = models.CharField(max_length=150, help_text="who started it")
    reason = models.CharField(max_length=1000, help_text="why")
    selection = models.JSONField(help_text="the conditions on failed records, frozen when it was started")
    shown_as = models.TextField(help_text="the selection as it was confirmed")
    upper_id = models.BigIntegerField(help_text="records that were stored later are not touched")
    ramp = models.JSONField(default=default_ramp, help_text="sizes of the steps after which the failures are judged")
    rate = models.FloatField(
        default=0, validators=[MinValueValidator(0)], help_text="records a second; 0: as fast as it goes"
    )
    pause_above = models.FloatField(
        default=0.5,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="it pauses when more than this share of a step fails again",
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    state_at = models.DateTimeField(default=timezone.now)
    state_by = models.CharField(max_length=150, blank=True, help_text="who paused, resumed or cancelled it last")
    state_reason = models.TextField(blank=True, help_text="why it is paused or was cancelled")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(
                fields=["id"], name="consumers_run_active", condition=models.Q(state__in=["queued", "running"])
            )
        ]

    def __str__(self) -> str:
        return f"retry run {self.pk}"

    @property
    def is_active(self) -> bool:
        return self.state in self.ACTIVE

    @property
    def is_ended(self) -> bool:
        return self.state in self.ENDED


class RetryProgress(models.Model):
    """How far a run has come. Whoever works on the run holds this row's lock, and moves it in the transaction that
    settles the records: so no two workers attempt the same one, and none is attempted twice."""

    run = models.OneToOneField(RetryRun, models.CASCADE, primary_key=True, related_name="progress")
    total = models.BigIntegerField(default=0)
    is_counted = models.BooleanField(default=False, help_text="whether `total` is exact, or the planner's estimate")
    cursor = models.BigIntegerField(default=0, help_text="records up to this id have had their turn")
    succeeded = models.BigIntegerField(default=0)
    failed_again = models.BigIntegerField(default=0)
    skipped = models.BigIntegerField(default=0, help_text="in the hands of another process when their turn came")
    by_reason: Any = models.JSONField(default=dict, help_text="records that failed again, by reason")
    step = models.PositiveIntegerField(default=0)
    step_attempted = models.PositiveIntegerField(default=0)
    step_failed = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now, help_text="not before then: the rate limit")
    worker = models.CharField(max_length=300, blank=True, help_text="who worked on it last")
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"progress of retry run {self.run_id}"

    @property
    def attempted(self) -> int:
        return self.succeeded + self.failed_again


class FailedAttempt(models.Model):
    """One attempt on a record that failed at least once, written in the transaction of its outcome."""

    class Kind(models.TextChoices):
        RECEIVED = "received", "received"
        REDELIVERED = "redelivered", "received again"
        RETRIED = "retried", "retried"

    MESSAGE_CHARS: ClassVar[int] = 500

    record = models.ForeignKey(FailedRecord, models.CASCADE, related_name="attempt_set")
    at = models.DateTimeField()
    kind = models.CharField(max_length=12, choices=Kind.choices)
    by = models.CharField(max_length=150, help_text="a consumer, a user, or a command")
    succeeded = models.BooleanField(default=False)
    reason = models.CharField(max_length=100, blank=True)
    exception = models.CharField(max_length=255, blank=True)
    message = models.CharField(max_length=MESSAGE_CHARS, blank=True)
    fingerprint = models.CharField(max_length=16, blank=True)
    run = models.ForeignKey(RetryRun, models.SET_NULL, null=True, blank=True, related_name="attempts", db_index=False)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["run", "record"], name="consumers_attempt_run", condition=models.Q(run__isnull=False))
        ]

    def __str__(self) -> str:
        return f"{self.kind} by {self.by}: {'succeeded' if self.succeeded else self.reason}"


class FailureEdit(models.Model):
    """Another value for a failed record, which every later attempt processes. The record keeps the one it came with."""

    record = models.ForeignKey(FailedRecord, models.CASCADE, related_name="edits")
    value = models.BinaryField()
    diff = models.TextField(help_text="from the value before to this one, with what consumers redact masked")
    reason = models.CharField(max_length=1000)
    by = models.CharField(max_length=150)
    at = models.DateTimeField(default=timezone.now)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"edit {self.pk} by {self.by}"
