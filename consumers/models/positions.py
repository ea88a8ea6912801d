"""How far each partition has come, and what moved it otherwise than by reading."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class PartitionLedger(models.Model):
    """The authority on progress: one row per group and partition, moved in the transaction of the rows it accounts for.

    `epoch` rises with every assignment; only its holder may move the row, which fences a member that lost the
    partition without noticing. The counts tell of records when first received; offsets below `counted_to` have been
    counted before and are redeliveries. So `counted_to` - `start_offset` = `received` + `missing`, always.
    """

    consumer = models.CharField(max_length=100, default="")
    group = models.CharField(max_length=255)
    topic = models.CharField(max_length=249)
    partition = models.PositiveIntegerField()
    epoch = models.PositiveBigIntegerField(default=0)
    next_offset = models.BigIntegerField()
    start_offset = models.BigIntegerField(default=0, help_text="where the group began to read")
    counted_to = models.BigIntegerField()
    received = models.BigIntegerField(default=0)
    written = models.BigIntegerField(default=0)
    duplicates = models.BigIntegerField(default=0)
    skipped = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    missing = models.BigIntegerField(default=0, help_text="offsets that held no record, or were passed over by a seek")
    rows = models.BigIntegerField(default=0, help_text="rows inserted into the consumer's table, redeliveries included")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["group", "topic", "partition"]
        verbose_name = "ledger line"
        verbose_name_plural = "ledger lines"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["group", "topic", "partition"], name="consumers_ledger_position"),
            models.CheckConstraint(
                name="consumers_ledger_balances",
                condition=models.Q(
                    received=models.F("written") + models.F("duplicates") + models.F("skipped") + models.F("failed")
                ),
            ),
            models.CheckConstraint(
                name="consumers_ledger_covers",
                condition=models.Q(counted_to=models.F("start_offset") + models.F("received") + models.F("missing")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.group}: {self.topic}[{self.partition}] at {self.next_offset}"


class PositionMove(models.Model):
    """A position that an operator moved: what was skipped or is read again, and on whose word."""

    group = models.CharField(max_length=255)
    topic = models.CharField(max_length=249)
    partition = models.PositiveIntegerField()
    from_offset = models.BigIntegerField(null=True, help_text="empty if the group had never read the partition")
    to_offset = models.BigIntegerField()
    passed_over = models.BigIntegerField(default=0, help_text="offsets that had not been counted and now never will")
    moved_at = models.DateTimeField(auto_now_add=True)
    moved_by = models.CharField(max_length=150)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.group}: {self.topic}[{self.partition}] from {self.from_offset} to {self.to_offset}"


class OffsetGap(models.Model):
    """Consecutive offsets, two or more, that held no record when they were read: removed by compaction or retention."""

    group = models.CharField(max_length=255)
    topic = models.CharField(max_length=249)
    partition = models.PositiveIntegerField()
    start = models.BigIntegerField()
    end = models.BigIntegerField(help_text="the first offset behind the gap")
    noticed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["group", "topic", "partition", "start"]
        indexes: ClassVar = [models.Index(fields=["group", "topic", "partition"], name="consumers_gap_partition")]

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}] {self.start}-{self.end - 1}"
