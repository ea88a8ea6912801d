"""Processes that consume, as they report themselves, and what operators order them to do."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class Worker(models.Model):
    """A process that consumes: one row, written by itself every few seconds."""

    class State(models.TextChoices):
        RUNNING = "running", "running"
        DRAINING = "draining", "draining"
        STOPPED = "stopped", "stopped"
        FAILED = "failed", "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    version = models.CharField(max_length=100, blank=True)
    consumers = models.JSONField(default=list, help_text="names of its consumers")
    groups = models.JSONField(default=list)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_default=Now(), help_text="when it last reported, by the database's clock")
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    why = models.TextField(blank=True, help_text="what stopped it")
    report = models.JSONField(default=dict, help_text="its latest report, as consumers.reporting.snapshot makes it")

    class Meta:
        ordering: ClassVar = ["-started_at"]
        verbose_name_plural = "workers (live console)"
        indexes: ClassVar = [models.Index(fields=["seen_at"], name="consumers_worker_seen")]
        permissions: ClassVar = [
            ("view_console", "Can view the live console"),
            ("control_worker", "Can pause, seek, drain and otherwise control consumers"),
        ]

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class WorkerSample(models.Model):
    """A consumer's counts in a worker at one moment, for charts; forgotten after some hours."""

    worker = models.ForeignKey(Worker, models.CASCADE, related_name="samples")
    at = models.DateTimeField(db_default=Now())
    consumer = models.CharField(max_length=100)
    received = models.BigIntegerField(default=0, help_text="since the worker's start, as are the other counts")
    written = models.BigIntegerField(default=0)
    duplicates = models.BigIntegerField(default=0)
    skipped = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    in_flight = models.PositiveIntegerField(default=0)
    limit = models.PositiveIntegerField(default=0, help_text="lanes of the process that may write at once")
    freshness = models.FloatField(null=True, help_text="seconds from a record's timestamp to its being settled, lately")
    stages = models.JSONField(default=dict, help_text="seconds spent in each stage since the worker's start")
    lags = models.JSONField(default=dict, help_text="by topic and partition: records that are not settled yet")

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [models.Index(fields=["at"], name="consumers_sample_at")]

    def __str__(self) -> str:
        return f"{self.consumer} at {self.at:%H:%M:%S}"


class WorkerEvent(models.Model):
    """Something that happened in a worker: a rebalance, an outage, a fence, a move of the limiter, an order."""

    worker = models.ForeignKey(Worker, models.CASCADE, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=20)
    text = models.TextField()

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["at"], name="consumers_event_at")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.text[:80]}"


class Control(models.Model):
    """An order to workers. A standing one holds, for those that start later too, until it is taken back or runs out;
    any other is carried out once."""

    class Kind(models.TextChoices):
        PAUSE = "pause", "pause"
        WRITERS = "writers", "hold the number of writers"
        CONCURRENCY = "concurrency", "hold the number of process() workers"
        CHUNK_SIZE = "chunk_size", "hold the chunk size"
        DRAIN = "drain", "drain and stop"
        SEEK = "seek", "seek"
        DUMP = "dump", "dump stacks"

    STANDING: ClassVar = (Kind.PAUSE, Kind.WRITERS, Kind.CONCURRENCY, Kind.CHUNK_SIZE)

    kind = models.CharField(max_length=12, choices=Kind.choices)
    group = models.CharField(max_length=255, blank=True, default="", help_text="empty: any")
    consumer = models.CharField(max_length=100, blank=True, default="", help_text="empty: any")
    topic = models.CharField(max_length=249, blank=True, default="", help_text="its real name; empty: any")
    partition = models.PositiveIntegerField(null=True, blank=True, help_text="empty: all of the topic")
    worker = models.UUIDField(null=True, blank=True, help_text="empty: all")
    value = models.JSONField(default=dict, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    by = models.CharField(max_length=150)
    at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = "order"
        verbose_name_plural = "orders to workers"
        indexes: ClassVar = [
            models.Index(fields=["id"], name="consumers_control_open", condition=models.Q(ended_at__isnull=True))
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.target}"

    @property
    def is_standing(self) -> bool:
        return self.kind in self.STANDING

    @property
    def target(self) -> str:
        """What it is about, in words."""
        named = self.value.get("worker") if isinstance(self.value, dict) else None
        if self.worker:
            return f"worker {named or self.worker}"
        place = self.topic if self.partition is None else f"{self.topic}[{self.partition}]"
        whose = f"group {self.group}" if self.group else self.consumer or "all consumers"
        return f"{place} of {whose}" if place else whose


class ControlReply(models.Model):
    """What a worker has made of an order."""

    class State(models.TextChoices):
        ACCEPTED = "accepted", "accepted"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        LIFTED = "lifted", "lifted"

    control = models.ForeignKey(Control, models.CASCADE, related_name="replies")
    worker = models.UUIDField()
    worker_name = models.CharField(max_length=300)
    state = models.CharField(max_length=10, choices=State.choices)
    text = models.TextField(blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar = ["id"]
        verbose_name = "reply to an order"
        verbose_name_plural = "replies to orders"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["control", "worker"], name="consumers_one_reply_a_worker"),
        ]

    def __str__(self) -> str:
        return f"{self.worker_name}: {self.state}"
