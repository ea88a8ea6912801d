"""Alerts that were raised, and how their delivery stands: kept, so that a restart loses none."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from consumers.models.inbox import FailureGroup


class Alert(models.Model):
    """Something that an operator should hear of."""

    class Kind(models.TextChoices):
        NEW_GROUP = "new_group", "new kind of failure"
        REGRESSION = "regression", "failure came back"
        FLOOD = "flood", "flood stop"
        LAG = "lag", "lag"
        STALL = "stall", "stall"

    kind = models.CharField(max_length=20, choices=Kind.choices)
    key = models.CharField(
        max_length=500, help_text="what it is about: one alert per kind and key within the cool-down"
    )
    title = models.CharField(max_length=300)
    detail = models.TextField(blank=True)
    path = models.CharField(max_length=500, blank=True, help_text="the admin page that shows more, without the host")
    group = models.ForeignKey(FailureGroup, null=True, blank=True, on_delete=models.CASCADE, related_name="alerts")
    at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["kind", "key", "-at"], name="consumers_alert_recent"),
            models.Index(fields=["at"], name="consumers_alert_at"),
        ]

    def __str__(self) -> str:
        return self.title


class AlertDelivery(models.Model):
    """An alert on its way through one channel."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        SENT = "sent", "sent"
        GIVEN_UP = "given_up", "given up"

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=10, help_text="signal, email or webhook")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["id"]
        verbose_name_plural = "alert deliveries"
        indexes: ClassVar = [
            models.Index(fields=["next_at"], name="consumers_delivery_due", condition=models.Q(state="waiting")),
        ]

    def __str__(self) -> str:
        return f"{self.channel}: {self.state}"
