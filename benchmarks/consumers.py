"""Consumers that only the benchmark runs; `benchmarks.settings` installs them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

from ads.events import ClickEvent
from ads.models import Campaign, Click
from benchmarks.shapes import IO_LANES, IO_SECONDS, IO_WORKERS
from consumers.api import BatchConsumer, register, reject

Campaigns = Mapping[int, Campaign]


@register("bench_models")
class ModelConsumer(BatchConsumer[ClickEvent, Click]):
    """Clicks as Model instances made by keyword, whatever shorter way the project's own consumer takes."""

    topics: ClassVar[Sequence[str]] = ["ads.clicks"]
    event = ClickEvent
    model = Click
    unique: ClassVar[Sequence[str]] = ["event_id"]

    def prefetch(self, events: Sequence[ClickEvent]) -> Campaigns:
        return Campaign.objects.select_related("advertiser").in_bulk({event.campaign_id for event in events})

    def process(self, event: ClickEvent, campaigns: Campaigns) -> Click:
        campaign = campaigns.get(event.campaign_id) or reject("unknown_campaign", campaign_id=event.campaign_id)
        return Click(
            event_id=event.event_id,
            campaign_id=campaign.pk,
            advertiser_id=campaign.advertiser_id,
            occurred_at=event.occurred_at,
            ip=event.ip,
            user_agent=event.user_agent,
            url=event.url,
            impression_id=event.impression_id,
            user_id=event.user_id or "",
            cost=campaign.bid,
            billable=campaign.is_active and campaign.advertiser.is_active,
        )


@register("bench_io")
class WaitingConsumer(ModelConsumer):
    """Clicks whose handler asks a service that answers after 20 ms. Each lane has its share of the 200 workers."""

    max_concurrency: ClassVar[int] = IO_WORKERS // IO_LANES

    def process(self, event: ClickEvent, campaigns: Campaigns) -> Click:
        time.sleep(IO_SECONDS)  # cooperative, as any waiting on a socket is
        return super().process(event, campaigns)
