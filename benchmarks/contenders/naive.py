"""What many teams begin with: one record at a time, looked up, saved and committed.

Usage: python -m benchmarks.contenders.naive TOPIC GROUP RECORDS
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import django
from confluent_kafka import Consumer

django.setup()

from ads.models import Campaign, Click  # noqa: E402  (after the set-up)


def main(topic: str, group: str, records: int) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    done = 0
    while done < records:
        message = consumer.poll(1.0)
        if message is None or message.error():
            continue
        save(json.loads(message.value() or b""))
        consumer.commit(message=message, asynchronous=False)
        done += 1
    consumer.close()


def save(event: dict[str, Any]) -> None:
    campaign = Campaign.objects.select_related("advertiser").get(pk=event["campaign_id"])
    Click.objects.get_or_create(
        event_id=event["event_id"],
        defaults={
            "campaign": campaign,
            "advertiser": campaign.advertiser,
            "occurred_at": event["occurred_at"],
            "ip": event["ip"],
            "user_agent": event["user_agent"],
            "url": event["url"],
            "impression_id": event.get("impression_id"),
            "user_id": event.get("user_id") or "",
            "cost": campaign.bid,
            "billable": campaign.is_active and campaign.advertiser.is_active,
        },
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
