"""What the ledger says of some groups, as numbers to subtract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from django.db.models import Count, Sum

from consumers.models import FailedRecord, PartitionLedger

COUNTS = ("received", "written", "duplicates", "skipped", "failed")

Totals = Mapping[str, Counter[str]]
"""By group, the counts over all partitions."""


def totals(groups: Iterable[str]) -> Totals:
    found: dict[str, Counter[str]] = {group: Counter() for group in groups}
    rows = PartitionLedger.objects.order_by().filter(group__in=list(found))
    for group, *sums in rows.values_list("group").annotate(*[Sum(name) for name in COUNTS]):
        found[group] = Counter(dict(zip(COUNTS, sums, strict=True)))
    return found


def since(before: Totals, after: Totals) -> Totals:
    """How far the counts moved on."""
    return {group: Counter({name: after[group][name] - before[group][name] for name in COUNTS}) for group in after}


def latest_failure() -> int:
    """The id of the newest failed record; 0 if there is none."""
    return FailedRecord.objects.order_by("-id").values_list("id", flat=True).first() or 0


def failures_after(number: int, groups: Iterable[str]) -> list[tuple[str, str, int]]:
    """(group, reason, how many) of the failed records newer than that one, the commonest first."""
    new = FailedRecord.objects.order_by().filter(id__gt=number, group__in=list(groups))
    counted = new.values_list("group", "reason").annotate(records=Count("id"))
    return sorted(counted, key=lambda row: (row[0], -row[2]))
