"""Failures by reason and time, as a table whose numbers lead to the failures. Counted from buckets and groups only."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q, Sum
from django.urls import reverse

from consumers.admin.filters import FailedSinceFilter
from consumers.admin.visible import visible
from consumers.inbox.trends import STEP, floor
from consumers.models import FailureGroup, ReasonBucket

SPANS = {code: FailedSinceFilter.spans[code][1] for code in ("1h", "3h", "1d", "3d", "7d")}

HEADINGS = ("pending", "1 h", "3 h", "24 h", "3 d", "7 d", "all")
FEW = 6
"""So many reasons are shown without being asked for."""
MOST = 50
"""Reasons shown; those with most pending first."""


@dataclass
class Cell:
    """A number, and the list of what it counts."""

    count: int
    url: str

    @property
    def shown(self) -> str:
        return f"{self.count:,}"


@dataclass
class Row:
    """One reason."""

    reason: str
    cells: list[Cell] = field(default_factory=list)


def matrix(now: datetime) -> list[Row]:
    """A row for each reason. Recent failures are counted by five minutes, so a span may hold up to five minutes more;
    what was retried meanwhile is in the spans in which it came, not in those in which it failed last."""
    totals = FailureGroup.objects.order_by().values("reason").annotate(all=Sum("count"), waiting=Sum("pending"))
    came = _came(now)
    rows = sorted(totals, key=lambda total: (-total["waiting"], -total["all"], total["reason"]))
    return [_row(total["reason"], total["waiting"], came[total["reason"]], total["all"]) for total in rows[:MOST]]


def _came(now: datetime) -> dict[str, dict[str, int]]:
    """By reason and span: how many came."""
    sums = {f"in_{code}": Sum("count", filter=Q(start__gte=floor(now - span, STEP))) for code, span in SPANS.items()}
    recent = ReasonBucket.objects.filter(start__gte=floor(now - max(SPANS.values()), STEP)).order_by()
    found: dict[str, dict[str, int]] = defaultdict(dict)
    names = [f"in_{code}" for code in SPANS]
    for reason, *counts in recent.values("reason").annotate(**sums).values_list("reason", *names):
        found[reason] = {code: count or 0 for code, count in zip(SPANS, counts, strict=True)}
    return found


def _row(reason: str, pending: int, came: dict[str, int], total: int) -> Row:
    cells = [Cell(came.get(code, 0), _failed(reason=reason, since=code)) for code in SPANS]
    first, last = Cell(pending, _failed(reason=reason, status="pending")), Cell(total, _failed(reason=reason))
    return Row(visible(reason), [first, *cells, last])


def _failed(**conditions: str) -> str:
    return reverse("admin:consumers_failedrecord_changelist", query=conditions)
