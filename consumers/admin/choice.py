"""Which records an action is about, fixed on the page that asks for confirmation.

Django evaluates "all that match" again when the confirmation is posted: what failed in between would be acted upon
unseen. So up to `FROZEN` records are carried by their ids, in one field, and more of them by the list's filter with
the highest id seen. Only pending records are ever chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Max, QuerySet
from django.http import QueryDict

from consumers.admin.digits import is_number
from consumers.admin.visible import visible
from consumers.models import FailedRecord

FROZEN = 1_000
"""Records carried by id. More than that should not be reprocessed within one request either."""


class BadChoice(ValueError):
    """The confirmation page was tampered with, or cut short on its way."""


@dataclass(frozen=True)
class Choice:
    """Pending records: `ids` if they are carried by id, and none above `max_id`. `complete` tells whether these are all
    that were selected."""

    matching: QuerySet[FailedRecord]
    max_id: int
    ids: tuple[int, ...] | None
    complete: bool = True

    @property
    def records(self) -> QuerySet[FailedRecord]:
        """The chosen records that are still pending, oldest first."""
        rows = self.matching.filter(status=FailedRecord.Status.PENDING, pk__lte=self.max_id).order_by("pk")
        return rows if self.ids is None else rows.filter(pk__in=self.ids)

    @property
    def ids_field(self) -> str:
        return ",".join(map(str, self.ids or ()))


def by_reason(records: QuerySet[FailedRecord], bound: int) -> list[tuple[str, str, int]]:
    """Consumer, reason and number, the most frequent first, of the first `bound` records; fit to be printed."""
    first = FailedRecord.objects.filter(pk__in=records.values("pk")[:bound])
    groups = first.values("consumer", "reason").annotate(number=Count("pk"))
    ordered = groups.order_by("-number", "consumer", "reason")
    return [(visible(each["consumer"]), visible(each["reason"]), each["number"]) for each in ordered]


def choose(matching: QuerySet[FailedRecord], *, always_by_id: bool) -> Choice:
    """The pending records among these; with `always_by_id` at most the `FROZEN` oldest of them."""
    pending = matching.filter(status=FailedRecord.Status.PENDING)
    ids = tuple(pending.order_by("pk").values_list("pk", flat=True)[: FROZEN + 1])
    complete = len(ids) <= FROZEN
    if complete or always_by_id:
        frozen = ids[:FROZEN]
        return Choice(matching, max(frozen, default=0), frozen, complete)
    return Choice(matching, pending.aggregate(highest=Max("pk"))["highest"] or 0, None)


def confirmed_choice(everything: QuerySet[FailedRecord], matching: QuerySet[FailedRecord], post: QueryDict) -> Choice:
    """The choice that was shown, from what its page has posted. `everything` is the list without filters: a record
    stays chosen if it has left the filter meanwhile, as those of "the past hour" do.

    Raises:
        BadChoice: the fields are missing or not what the page had put there.
    """
    max_id = _number(post.get("max_id", ""))
    carried = post.get("ids")
    if carried is None:
        return Choice(matching, max_id, None)
    ids = tuple(_number(text) for text in carried.split(",") if text)
    if len(ids) > FROZEN:
        raise BadChoice(f"at most {FROZEN} records can be chosen by id, not {len(ids)}")
    return Choice(everything, max_id, ids)


def _number(text: str) -> int:
    if not is_number(text):
        raise BadChoice("the confirmation can't be read; start the action again from the list")
    return int(text)
