"""The failure inbox: failures that are alike as one line, how it came to that, and what people said about it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from consumers.models.failures import FailedRecord


class FailureGroup(models.Model):
    """All failures of one consumer that have one fingerprint.

    Changed by the roll-up (`consumers.inbox.rollup`) and by operators. `pending`, `resolved` and `discarded` are the
    numbers of failed records in that status, as far as deltas have been rolled up; `count` never goes down.
    """

    class Status(models.TextChoices):
        NEW = "new", "new"
        KNOWN = "known", "known"
        RESOLVED = "resolved", "resolved"
        REGRESSED = "regressed", "came back"
        ARCHIVED = "archived", "archived"

    consumer = models.CharField(max_length=100)
    fingerprint = models.CharField(max_length=16)
    reason = models.CharField(max_length=100)
    exception = models.CharField(max_length=255, blank=True)
    message = models.TextField(blank=True, help_text="without what differs from failure to failure")
    example_id = models.BigIntegerField(null=True, blank=True, help_text="the failed record that came last")
    places = models.JSONField(default=dict, blank=True, help_text="the partitions hit, by topic")
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    count = models.BigIntegerField(default=0, help_text="records that became pending here, ever")
    pending = models.BigIntegerField(default=0)
    resolved = models.BigIntegerField(default=0)
    discarded = models.BigIntegerField(default=0)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.NEW)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.CharField(max_length=150, blank=True, help_text="empty: nothing was pending any more")
    regressions = models.PositiveIntegerField(default=0, help_text="how often it came back")
    assigned_to = models.CharField(max_length=150, blank=True)
    muted_until = models.DateTimeField(null=True, blank=True, help_text="archived until then")
    muted_count = models.BigIntegerField(null=True, blank=True, help_text="archived until it has counted so many")
    muted_rate = models.BigIntegerField(null=True, blank=True, help_text="archived until so many come in an hour")

    class Meta:
        ordering: ClassVar = ["-last_seen", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["consumer", "fingerprint"], name="consumers_group_identity"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["-last_seen", "-id"], name="consumers_group_last"),
            models.Index(fields=["status", "-last_seen", "-id"], name="consumers_group_status"),
        ]
        permissions: ClassVar = [
            ("assign_failuregroup", "Can acknowledge, assign, comment, resolve and archive failure groups"),
        ]

    def __str__(self) -> str:
        return f"{self.consumer}: {self.reason} {self.fingerprint[:8]}"


class FailureDelta(models.Model):
    """What a transaction changed in a group's numbers, written by that transaction and taken away by the roll-up.

    So the numbers are exact, and consumers that write side by side don't wait for each other's group.
    """

    consumer = models.CharField(max_length=100)
    fingerprint = models.CharField(max_length=16)
    at = models.DateTimeField()
    came = models.IntegerField(default=0, help_text="records that became pending")
    failed = models.IntegerField(default=0, help_text="attempts that failed, those of records pending before included")
    pending = models.IntegerField(default=0)
    resolved = models.IntegerField(default=0)
    discarded = models.IntegerField(default=0)
    reason = models.CharField(max_length=100, blank=True)
    exception = models.CharField(max_length=255, blank=True)
    message = models.TextField(blank=True)
    example_id = models.BigIntegerField(null=True, blank=True)
    places = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.consumer} {self.fingerprint}: {self.pending:+} {self.resolved:+} {self.discarded:+}"


class FailureBucket(models.Model):
    """How many records became pending in a group within an hour: its trend."""

    group = models.ForeignKey(FailureGroup, on_delete=models.CASCADE, related_name="buckets", db_index=False)
    hour = models.DateTimeField(help_text="its beginning")
    count = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["group", "hour"], name="consumers_bucket_hour")]
        indexes: ClassVar = [models.Index(fields=["hour"], name="consumers_bucket_age")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}: {self.count}"


class ReasonBucket(models.Model):
    """How many records became pending for one reason within five minutes."""

    consumer = models.CharField(max_length=100)
    reason = models.CharField(max_length=100)
    start = models.DateTimeField()
    count = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["start", "consumer", "reason"], name="consumers_reason_bucket")
        ]

    def __str__(self) -> str:
        return f"{self.reason} {self.start:%Y-%m-%d %H:%M}: {self.count}"


class FailureNote(models.Model):
    """What somebody said about a group or a failed record, or did to it."""

    class Kind(models.TextChoices):
        COMMENT = "comment", "comment"
        ASSIGN = "assign", "assigned"
        DISCARD = "discard", "discarded"
        EDIT = "edit", "edited"
        RETRY = "retry", "retried"
        STATUS = "status", "status"
        REVEAL = "reveal", "revealed"

    group = models.ForeignKey(FailureGroup, null=True, blank=True, on_delete=models.CASCADE, related_name="notes")
    record = models.ForeignKey(FailedRecord, null=True, blank=True, on_delete=models.CASCADE, related_name="notes")
    at = models.DateTimeField(auto_now_add=True)
    by = models.CharField(max_length=150, help_text="a user, or empty for the inbox itself", blank=True)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.COMMENT)
    text = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.kind} by {self.by or 'the inbox'}"
