"""A trend as a small picture, drawn by the server: bars in one SVG path, without style or script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from django.utils.html import format_html
from django.utils.safestring import SafeString

from consumers.inbox.trends import floor
from consumers.models import FailureBucket

SPAN = timedelta(days=7)
LIST_STEP = timedelta(hours=4)
PAGE_STEP = timedelta(hours=1)


def trends(groups: Iterable[int], now: datetime, step: timedelta) -> dict[int, list[int]]:
    """By group: how many came in each step of the past seven days, the oldest first. One query for all of them."""
    first = _first(now, step)
    rows = FailureBucket.objects.filter(group__in=list(groups), hour__gte=first).order_by("group")
    found = rows.values_list("group", "hour", "count")
    return {group: _series(list(each), first, step) for group, each in groupby(found, key=lambda row: row[0])}


def _series(rows: Sequence[tuple[int, datetime, int]], first: datetime, step: timedelta) -> list[int]:
    series = empty(step)
    for _, hour, count in rows:
        series[min(len(series) - 1, (hour - first) // step)] += count
    return series


def empty(step: timedelta) -> list[int]:
    """The trend of a group in which nothing came."""
    return [0] * (SPAN // step)


def _first(now: datetime, step: timedelta) -> datetime:
    """The beginning of the oldest step; the newest is the one that has just begun."""
    return floor(now, step) - (SPAN // step - 1) * step


def sparkline(series: Sequence[int], step: timedelta, *, width: int, height: int) -> SafeString:
    """Bars as high as the counts, and the same in words for those who can't see them."""
    hours = step // timedelta(hours=1)
    unit = "an hour" if hours == 1 else f"{hours} hours"
    said = f"{sum(series):,} in 7 days, at most {max(series, default=0):,} in {unit}, {series[-1]:,} lately"
    return format_html(
        '<svg class="inbox-trend" width="{0}" height="{1}" viewBox="0 0 {0} {1}" preserveAspectRatio="none" '
        'role="img" aria-label="{2}"><title>{2}</title><path d="{3}"/></svg>',
        width,
        height,
        said,
        _bars(series, width, height - 1) + f"M0 {height - 1}h{width}v1h-{width}z",
    )


def _bars(series: Sequence[int], width: int, height: int) -> str:
    each, most = width / len(series), max(series)
    bars = []
    for number, count in enumerate(series):
        if count:
            high = max(1.5, height * count / most)
            bars.append(f"M{number * each:.1f} {height:g}v-{high:.1f}h{each * 0.8:.1f}v{high:.1f}z")
    return "".join(bars)
