"""Who advertises, what for, and what came of it: impressions and clicks.

Every index costs each written row some time, so each of them names its reader. Impressions and clicks have no surrogate
key: the event's own id is the primary key, and the one unique index serves as the idempotency key too. Advertisers and
campaigns are often written by other tools, so that their times have a default in the database as well.
"""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from ads import limits
from consumers.api import IngestManager, IngestModel


class Advertiser(models.Model):
    """A customer who pays for campaigns."""

    name = models.CharField(max_length=limits.NAME_CHARS)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        ordering: ClassVar = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class Campaign(models.Model):
    """What an advertiser pays for, at a price per click (`bid`), in the currency of the account.

    `budget` None means no limit; `ends_on` is the last day, None means open-ended.
    """

    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, related_name="campaigns")
    name = models.CharField(max_length=limits.NAME_CHARS)
    bid = models.DecimalField(max_digits=limits.PRICE_DIGITS, decimal_places=limits.MONEY_PLACES)
    budget = models.DecimalField(
        max_digits=limits.BUDGET_DIGITS, decimal_places=limits.MONEY_PLACES, null=True, blank=True
    )
    is_active = models.BooleanField(default=True)
    starts_on = models.DateField(null=True, blank=True)
    ends_on = models.DateField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        ordering: ClassVar = ["name", "id"]
        constraints: ClassVar = [
            models.CheckConstraint(name="ads_campaign_bid_not_negative", condition=models.Q(bid__gte=0)),
            # A CHECK is content with NULL: no budget and no end pass both of these.
            models.CheckConstraint(name="ads_campaign_budget_not_negative", condition=models.Q(budget__gte=0)),
            models.CheckConstraint(
                name="ads_campaign_ends_after_start",
                condition=models.Q(ends_on__gte=models.F("starts_on")),
                violation_error_message="A campaign cannot end before it starts.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @cached_property
    def is_billable(self) -> bool:
        """Whether its clicks cost: both it and its advertiser are active. Kept, since every click asks."""
        return self.is_active and self.advertiser.is_active


class Impression(IngestModel):
    """A campaign was shown to somebody."""

    event_id = models.UUIDField(primary_key=True)
    # No index of its own: (campaign, occurred_at) below serves look-ups by campaign.
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, db_index=False, related_name="impressions")
    occurred_at = models.DateTimeField()
    placement = models.CharField(max_length=limits.PLACEMENT_CHARS)
    ip = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=limits.USER_AGENT_CHARS, blank=True, default="")
    user_id = models.CharField(max_length=limits.USER_ID_CHARS, blank=True, default="")
    received_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = IngestManager()

    class Meta:
        ordering: ClassVar = ["-occurred_at"]
        indexes: ClassVar = [
            # The admin's list, newest first, and its date filter.
            models.Index(fields=["occurred_at"], name="ads_impression_time"),
            # A campaign's impressions over a period. Left out: placement, user and address; nobody looks up by them.
            models.Index(fields=["campaign", "occurred_at"], name="ads_impression_campaign_time"),
        ]

    def __str__(self) -> str:
        return f"impression {self.event_id}"


class Click(IngestModel):
    """Somebody clicked. The advertiser and the cost are those of the campaign at the time of processing."""

    event_id = models.UUIDField(primary_key=True)
    # No index of its own: (campaign, occurred_at) below serves look-ups by campaign.
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, db_index=False, related_name="clicks")
    # No index at all: an advertiser's clicks are found through its campaigns. So advertisers are not deleted (the
    # foreign key's check would read the whole table) but made inactive; the admin offers no deletion.
    advertiser = models.ForeignKey(Advertiser, on_delete=models.PROTECT, db_index=False, related_name="clicks")
    occurred_at = models.DateTimeField()
    # Nullable for deletion on request under privacy laws; the event itself always brings one.
    ip = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=limits.USER_AGENT_CHARS, blank=True, default="")
    url = models.CharField(max_length=limits.URL_CHARS)
    # Not a foreign key: a click may arrive before its impression, or without it.
    impression_id = models.UUIDField(null=True, blank=True)
    user_id = models.CharField(max_length=limits.USER_ID_CHARS, blank=True, default="")
    cost = models.DecimalField(max_digits=limits.PRICE_DIGITS, decimal_places=limits.MONEY_PLACES)
    billable = models.BooleanField()
    received_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = IngestManager()

    class Meta:
        ordering: ClassVar = ["-occurred_at"]
        constraints: ClassVar = [
            models.CheckConstraint(name="ads_click_cost_not_negative", condition=models.Q(cost__gte=0)),
        ]
        indexes: ClassVar = [
            # The admin's list, newest first, and its date filter.
            models.Index(fields=["occurred_at"], name="ads_click_time"),
            # A campaign's clicks and spending over a period. Left out: impression_id, user and address; a join from
            # impressions to clicks goes by campaign and period.
            models.Index(fields=["campaign", "occurred_at"], name="ads_click_campaign_time"),
        ]

    def __str__(self) -> str:
        return f"click {self.event_id}"
