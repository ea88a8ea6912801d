"""The filters beside the list of failure groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest

from consumers.admin.distinct import leading_values
from consumers.admin.filters import EqualsFilter, TopicFilter
from consumers.inbox.groups import OPEN
from consumers.models import FailureGroup

TAKEN_UP = 200
"""Choices shown at most."""


class GroupStatusFilter(admin.SimpleListFilter):
    """Without a choice only groups that want something done are listed: it is an inbox."""

    title = parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("all", "all"), *FailureGroup.Status.choices]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        for number, choice in enumerate(super().choices(changelist)):
            yield {**choice, "display": "to be looked at"} if number == 0 else choice

    def queryset(self, request: HttpRequest, queryset: QuerySet[FailureGroup]) -> QuerySet[FailureGroup]:
        if self.value() == "all":
            return queryset
        chosen = [self.value()] if self.value() in FailureGroup.Status.values else OPEN
        return queryset.filter(status__in=chosen)


class GroupConsumerFilter(EqualsFilter):
    title = parameter_name = "consumer"

    def values(self) -> Iterable[str]:
        return (consumer for (consumer,) in leading_values(FailureGroup, "consumer"))


class GroupReasonFilter(EqualsFilter):
    title = parameter_name = "reason"

    def values(self) -> Iterable[str]:
        return _distinct("reason")


class GroupTopicFilter(TopicFilter):
    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        topic = self.value()
        if topic is None:
            return queryset
        return queryset.none() if "\0" in topic else queryset.filter(places__has_key=topic)


class AssignedFilter(EqualsFilter):
    """Whose it is; "-" is nobody's."""

    title = "assigned to"
    parameter_name = "assigned_to"

    def values(self) -> Iterable[str]:
        return _distinct("assigned_to")

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        me = request.user.get_username()
        others = [each for each in super().lookups(request, model_admin) if each[0] not in ("-", me)]
        return [("-", "nobody"), (me, f"{me} (me)"), *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(assigned_to="") if self.value() == "-" else super().queryset(request, queryset)


def _distinct(field: str) -> list[str]:
    """There are thousands of groups, not millions: reading them all is cheap."""
    found = FailureGroup.objects.order_by(field).values_list(field, flat=True).distinct()
    return [value for value in found[:TAKEN_UP] if value]
