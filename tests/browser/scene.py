"""What an operator finds in the morning: a consumer at work, its admin, and records that failed in several ways."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from demo.generate import Clicks, Shares, sample_campaigns
from demo.serving import free_port
from tests.e2e.harness import Running, Site, wait_until

OPERATOR = "olivia"
WATCH = ("reprocess_failures", "--watch")
GOOD, UNKNOWN, BAD_TIMES, GARBAGE = 3_000, 40, 12, 5
NEW_CAMPAIGN = 990_001
"""A campaign that nobody has made yet."""


@dataclass
class Scene:
    site: Site
    address: str
    consumer: Running
    watch: Running

    def send_clicks(self, number: int, seed: int, **shares: float) -> None:
        values = Clicks(seed, sample_campaigns()).records(Shares(**shares).counts(number))
        self.site.send("ads.clicks", values)

    def make_campaign(self) -> None:
        """The one that clicks wait for, made by another tool than this project."""
        self.site.query(
            "INSERT INTO ads_campaign (id, advertiser_id, name, bid, is_active)"
            " SELECT %s, min(id), 'Made late', 0.25, true FROM ads_advertiser",
            NEW_CAMPAIGN,
        )

    @contextmanager
    def nobody_watching(self) -> Iterator[None]:
        """While the block lasts nobody works on runs, nor on failed records that are due again by themselves."""
        self.watch.drain()
        yield
        self.watch = self.site.start(*WATCH)

    def start_consumer(self) -> None:
        self.consumer = self.site.consumer("clicks")

    def url_of(self, reason: str) -> str:
        """The page of the group of failures with this reason."""
        number = self.site.one(
            "SELECT id FROM consumers_failuregroup WHERE reason = %s ORDER BY count DESC LIMIT 1", reason
        )
        return f"/admin/consumers/failuregroup/{number}/change/"


@contextmanager
def scene(site: Site) -> Iterator[Scene]:
    """A consumer that has read everything, a watch that works off runs, and the admin."""
    site.run("createsuperuser", "--noinput", "--email", "", DJANGO_SUPERUSER_USERNAME=OPERATOR,
             DJANGO_SUPERUSER_PASSWORD=OPERATOR).ok()  # fmt: skip
    port = free_port(0)
    web = site.start("runserver", "--noreload", "--nostatic", f"127.0.0.1:{port}")
    made = Scene(site, f"http://127.0.0.1:{port}", site.consumer("clicks"), site.start(*WATCH))
    made.send_clicks(GOOD, seed=1)
    site.send("ads.clicks", _faulty())
    site.settled(GOOD + UNKNOWN + BAD_TIMES + GARBAGE)
    wait_until(lambda: "Starting development server" in (web.log + web.said), "the admin")
    wait_until(lambda: site.one("SELECT count(*) FROM consumers_failuregroup") >= 3, "groups of failures")
    yield made


def _faulty() -> Iterator[bytes]:
    clicks = [
        json.loads(value) for value in Clicks(2, sample_campaigns()).records(Shares().counts(UNKNOWN + BAD_TIMES))
    ]
    for number, click in enumerate(clicks):
        if number < UNKNOWN:
            click["campaign_id"] = NEW_CAMPAIGN
        else:
            click["occurred_at"] = "yesterday"
        yield json.dumps(click).encode()
    for number in range(GARBAGE):
        yield b"\x00<script>alert(%d)</script>" % number
