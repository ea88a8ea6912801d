"""What could not be processed."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from consumers.core.errors import TooLarge
from consumers.core.records import Headers, Record, TopicPartition
from consumers.headers import unpack_headers

PENDING = models.Q(status="pending")
RETRIABLE = PENDING & ~models.Q(reason=TooLarge.REASON)
"""Pending, and not one of those of which only the head was kept."""


class FailedRecord(models.Model):
    """A record that could not become rows, with all it takes to understand it and to process it again."""

    class Status(models.TextChoices):
        PENDING = "pending", "pending"
        RESOLVED = "resolved", "resolved"
        DISCARDED = "discarded", "discarded"

    consumer = models.CharField(max_length=100, help_text="the registered name of the consumer that failed it")
    group = models.CharField(max_length=255)
    topic = models.CharField(max_length=249)
    partition = models.PositiveIntegerField()
    offset = models.BigIntegerField()
    timestamp = models.DateTimeField(null=True, blank=True, help_text="the record's own time, set by the producer")
    key = models.BinaryField(null=True)
    value = models.BinaryField(null=True)
    headers = models.BinaryField(default=b"", help_text="names and base64 values, as a JSON array")
    reason = models.CharField(max_length=100)
    exception = models.CharField(max_length=255, blank=True)
    message = models.TextField(blank=True)
    traceback = models.TextField(blank=True)
    fingerprint = models.CharField(max_length=16, help_text="equal for failures that are alike")
    attempts = models.PositiveIntegerField(default=1)
    repeats = models.PositiveIntegerField(default=1, help_text="how often in a row it failed in this same way")
    retry_after = models.DateTimeField(null=True, blank=True, help_text="due again then; empty: not by itself")
    waits_for = models.CharField(max_length=255, blank=True, default="", help_text="the row whose coming makes it due")
    order_key = models.CharField(max_length=32, blank=True, default="", help_text="later records of it are held back")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    first_failed_at = models.DateTimeField()
    last_failed_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.CharField(max_length=150, blank=True, help_text="a user, a command, or the consumer itself")
    rows_written = models.PositiveIntegerField(default=0, help_text="rows it became when it was reprocessed")
    note = models.TextField(blank=True, help_text="why it was discarded")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["group", "topic", "partition", "offset"], name="consumers_failed_position"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["status", "consumer", "id"], name="consumers_failed_work"),
            models.Index(fields=["reason", "id"], name="consumers_failed_reason"),
            models.Index(fields=["fingerprint", "id"], name="consumers_failed_like"),
            models.Index(fields=["last_failed_at"], name="consumers_failed_last"),
            # What is pending is looked for among millions that are not any more.
            models.Index(fields=["reason", "id"], name="consumers_pending_reason", condition=PENDING),
            models.Index(fields=["fingerprint", "consumer", "id"], name="consumers_pending_like", condition=PENDING),
            models.Index(
                fields=["retry_after"],
                name="consumers_failed_due",
                condition=PENDING & models.Q(retry_after__isnull=False),
            ),
            models.Index(
                fields=["resolved_at"],
                name="consumers_failed_ended",
                condition=models.Q(status__in=["resolved", "discarded"]),
            ),
            models.Index(
                fields=["waits_for"], name="consumers_failed_waiting", condition=PENDING & ~models.Q(waits_for="")
            ),
            models.Index(
                fields=["group", "topic", "partition", "order_key", "offset"],
                name="consumers_failed_holding",
                condition=PENDING & ~models.Q(order_key=""),
            ),
        ]
        permissions: ClassVar = [
            ("reprocess_failedrecord", "Can reprocess failed records"),
            ("discard_failedrecord", "Can discard failed records"),
            ("view_sensitive_failedrecord", "Can view what consumers redact in failed records"),
            ("edit_failedrecord", "Can edit and retry failed records"),
            ("export_failedrecord", "Can export failed records"),
        ]

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}: {self.reason}"

    @property
    def source(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)

    def to_record(self) -> Record:
        """The record as it was received."""
        return Record(
            source=self.source,
            offset=self.offset,
            value=None if self.value is None else bytes(self.value),
            key=None if self.key is None else bytes(self.key),
            headers=self.header_items(),
            timestamp=None if self.timestamp is None else round(self.timestamp.timestamp() * 1000),
        )

    def header_items(self) -> Headers:
        return unpack_headers(bytes(self.headers))
