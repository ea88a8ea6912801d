"""The filters beside the list of failed records: none of them reads the whole table to find its choices."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from consumers import registry
from consumers.admin.digits import is_number
from consumers.admin.distinct import leading_values
from consumers.admin.visible import visible
from consumers.models import FailedRecord

if TYPE_CHECKING:
    from django.contrib.admin.options import ModelAdmin


class EqualsFilter(admin.SimpleListFilter):
    """Rows whose field has exactly the chosen value; a link may choose one that is not among the choices."""

    def values(self) -> Iterable[str]:
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        known = set(self.values()) | ({self.value()} if self.value() else set())
        return [(value, visible(value)) for value in sorted(filter(None, known))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value is None:
            return queryset
        # The database refuses NUL in text: nothing can be equal to it.
        return queryset.none() if "\0" in value else queryset.filter(**{str(self.parameter_name): value})


class StatusFilter(EqualsFilter):
    title = parameter_name = "status"

    def values(self) -> Iterable[str]:
        return FailedRecord.Status.values


class ReasonFilter(EqualsFilter):
    title = parameter_name = "reason"

    def values(self) -> Iterable[str]:
        return (reason for (reason,) in leading_values(FailedRecord, "reason"))


class TopicFilter(EqualsFilter):
    title = parameter_name = "topic"

    def values(self) -> Iterable[str]:
        return (topic for _, topic in leading_values(FailedRecord, "group", "topic"))


class ConsumerFilter(EqualsFilter):
    title = parameter_name = "consumer"

    def values(self) -> Iterable[str]:
        failed = (consumer for _, consumer in leading_values(FailedRecord, "status", "consumer"))
        return {*failed, *registry.names()}


class FingerprintFilter(EqualsFilter):
    """Shown only while it is in use: it is chosen by a link in the list, from among too many to list here."""

    title = parameter_name = "fingerprint"

    def values(self) -> Iterable[str]:
        return ()


class RunFilter(EqualsFilter):
    """What failed again in a retry run; shown only while it is in use: it is chosen by a link on the run's page."""

    title = "failed again in run"
    parameter_name = "run"

    def values(self) -> Iterable[str]:
        return ()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        run = self.value()
        if run is None:
            return queryset
        if not is_number(run):
            return queryset.none()
        return queryset.filter(attempt_set__run=int(run), attempt_set__succeeded=False)


class FailedSinceFilter(admin.SimpleListFilter):
    """How long ago a record failed last."""

    title = "last failed"
    parameter_name = "since"
    spans: ClassVar[dict[str, tuple[str, datetime.timedelta]]] = {
        "1h": ("in the past hour", datetime.timedelta(hours=1)),
        "3h": ("in the past 3 hours", datetime.timedelta(hours=3)),
        "1d": ("in the past 24 hours", datetime.timedelta(days=1)),
        "3d": ("in the past 3 days", datetime.timedelta(days=3)),
        "7d": ("in the past 7 days", datetime.timedelta(days=7)),
        "30d": ("in the past 30 days", datetime.timedelta(days=30)),
    }

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(code, label) for code, (label, _) in self.spans.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        _, span = self.spans.get(self.value() or "", ("", None))
        return queryset.filter(last_failed_at__gte=timezone.now() - span) if span else queryset
