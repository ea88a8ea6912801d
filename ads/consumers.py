"""What the advertising topics become: clicks and impressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, NoReturn

from ads.events import ClickEvent, ImpressionEvent
from ads.models import Campaign, Click, Impression
from consumers.api import BatchConsumer, RecentRows, register, reject, row_type

Campaigns = Mapping[int, Campaign]

PERSONAL: tuple[str, ...] = ("ip", "user_agent", "user_id")
"""Fields that tell of a person: never shown or logged."""


def unknown_campaign(campaign_id: int) -> NoReturn:
    """The campaign may be on its way: the record is processed again once it is there."""
    reject("unknown_campaign", waits_for=(Campaign, campaign_id), campaign_id=campaign_id)


@register("clicks")
class ClickConsumer(BatchConsumer[ClickEvent, Click]):
    """A click takes its advertiser and its cost from the campaign; it is billable only if both are active."""

    topics: ClassVar[Sequence[str]] = ["ads.clicks"]
    event = ClickEvent
    model = Click
    unique: ClassVar[Sequence[str]] = ["event_id"]
    parents = (Campaign,)
    redact = PERSONAL
    row: ClassVar[type[Any]] = row_type(Click)
    """Cheaper to make than an instance, which matters at tens of thousands of clicks per second."""

    @cached_property
    def campaigns(self) -> RecentRows[Campaign]:
        """A changed bid, or an activation, counts a second later at most."""
        return RecentRows(Campaign.objects.select_related("advertiser"), max_age=1.0)

    def prefetch(self, events: Sequence[ClickEvent]) -> Campaigns:
        return self.campaigns.in_bulk(event.campaign_id for event in events)

    def process(self, event: ClickEvent, campaigns: Campaigns) -> Any:
        campaign = campaigns.get(event.campaign_id) or unknown_campaign(event.campaign_id)
        return self.row(
            event_id=event.event_id,
            campaign_id=event.campaign_id,
            advertiser_id=campaign.advertiser_id,
            occurred_at=event.occurred_at,
            ip=event.ip,
            user_agent=event.user_agent,
            url=event.url,
            impression_id=event.impression_id,
            user_id=event.user_id or "",
            cost=campaign.bid,
            billable=campaign.is_billable,
        )


@register("impressions")
class ImpressionConsumer(BatchConsumer[ImpressionEvent, Impression]):
    topics: ClassVar[Sequence[str]] = ["ads.impressions"]
    event = ImpressionEvent
    model = Impression
    unique: ClassVar[Sequence[str]] = ["event_id"]
    parents = (Campaign,)
    redact = PERSONAL

    def prefetch(self, events: Sequence[ImpressionEvent]) -> Campaigns:
        return Campaign.objects.in_bulk({event.campaign_id for event in events})

    def process(self, event: ImpressionEvent, campaigns: Campaigns) -> Impression:
        if event.campaign_id not in campaigns:
            unknown_campaign(event.campaign_id)
        return Impression(
            event_id=event.event_id,
            campaign_id=event.campaign_id,
            occurred_at=event.occurred_at,
            placement=event.placement,
            ip=event.ip,
            user_agent=event.user_agent or "",
            user_id=event.user_id or "",
        )
