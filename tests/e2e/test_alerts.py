"""A consuming process tells of what goes wrong by itself: of a new kind of failure while it runs, of a flood stop with
its last breath."""

from __future__ import annotations

import json

import pytest

from consumers.alerts.signing import verify
from tests.e2e.clicks import TOPIC, unknown_clicks
from tests.e2e.harness import Site, wait_until
from tests.webhook import Receiver, receiving

pytestmark = pytest.mark.e2e

SECRET = "shared secret"


def told(receiver: Receiver) -> dict[str, str]:
    """Titles by kind; each must be signed."""
    titles = {}
    for headers, body in receiver.posts:
        stamp = int(headers["X-Consumers-Timestamp"])
        assert verify(SECRET, stamp, body, headers["X-Consumers-Signature"], now=stamp)
        alert = json.loads(body)
        titles[alert["kind"]] = alert["title"]
    return titles


def test_a_running_consumer_tells_of_a_new_kind_of_failure_and_a_stopped_one_of_the_flood(site: Site) -> None:
    with receiving() as receiver:
        webhook = {"CONSUMERS_ALERT_WEBHOOK": receiver.url, "CONSUMERS_ALERT_WEBHOOK_SECRET": SECRET}
        site.send(TOPIC, unknown_clicks(1))
        consumer = site.consumer("clicks", **webhook)
        wait_until(lambda: "new_group" in told(receiver), "an alert of the failure")
        site.send(TOPIC, unknown_clicks(5_000), key=b"one")
        assert consumer.end().code == 1
        assert told(receiver) == {
            "new_group": "New failure: unknown_campaign in clicks",
            "flood": f"Flood stop: {site.prefix}{TOPIC} is not consumed any more",
        }
