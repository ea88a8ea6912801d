"""What a good team writes next: a thousand records at a time, one look-up and one bulk insert for all of them.

Usage: python -m benchmarks.contenders.bulk TOPIC GROUP RECORDS
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

import django
from confluent_kafka import Consumer, Message

django.setup()

from ads.models import Campaign, Click  # noqa: E402  (after the set-up)

logger = logging.getLogger("bulk")


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
        messages = [message for message in consumer.consume(1000, timeout=0.1) if not message.error()]
        if messages:
            save([event for message in messages if (event := decoded(message)) is not None])
            consumer.commit(asynchronous=False)
            done += len(messages)
    consumer.close()


def decoded(message: Message) -> dict[str, Any] | None:
    """None for what is no JSON: logged, and gone."""
    try:
        event: dict[str, Any] = json.loads(message.value() or b"")
    except ValueError:
        logger.warning("not JSON: %s[%s] at %s", message.topic(), message.partition(), message.offset())
        return None
    return event


def save(events: list[dict[str, Any]]) -> None:
    campaigns = Campaign.objects.select_related("advertiser").in_bulk({event["campaign_id"] for event in events})
    rows = [click(event, campaigns[event["campaign_id"]]) for event in events if event["campaign_id"] in campaigns]
    # Django's own manager, not the model's: this is how it would be without the project.
    Click._base_manager.bulk_create(rows, ignore_conflicts=True)


def click(event: dict[str, Any], campaign: Campaign) -> Click:
    return Click(
        event_id=event["event_id"],
        campaign=campaign,
        advertiser=campaign.advertiser,
        occurred_at=event["occurred_at"],
        ip=event["ip"],
        user_agent=event["user_agent"],
        url=event["url"],
        impression_id=event.get("impression_id"),
        user_id=event.get("user_id") or "",
        cost=campaign.bid,
        billable=campaign.is_active and campaign.advertiser.is_active,
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
