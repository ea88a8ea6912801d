"""A new topic costs one small class: here is one as a newcomer writes it, run in memory and by the command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from typing import Any, ClassVar

import msgspec
import pytest
from django.core.checks import run_checks
from django.core.management import call_command

from ads.models import Advertiser, Campaign
from consumers import registry
from consumers.api import BatchConsumer, register, reject
from consumers.kafka.producer import RecordProducer
from consumers.models import FailedRecord
from consumers.testing import MemoryLog, run_consumer

pytestmark = pytest.mark.django_db


class CampaignPlanned(msgspec.Struct):
    name: str
    advertiser: str
    bid: str


@pytest.fixture
def consumer() -> Iterator[Any]:
    """All of a new consumer's code, and its removal."""

    @register("plans")
    class PlanConsumer(BatchConsumer[CampaignPlanned, Campaign]):
        topics: ClassVar[Sequence[str]] = ["plans"]
        event = CampaignPlanned
        model = Campaign
        unique: ClassVar[Sequence[str]] = ["id"]

        def prefetch(self, events: Sequence[CampaignPlanned]) -> dict[str, Advertiser]:
            return {each.name: each for each in Advertiser.objects.filter(name__in={e.advertiser for e in events})}

        def process(self, event: CampaignPlanned, advertisers: dict[str, Advertiser]) -> Campaign:
            advertiser = advertisers.get(event.advertiser) or reject("unknown_advertiser", name=event.advertiser)
            return Campaign(id=int(event.name), name=event.name, advertiser=advertiser, bid=event.bid)

    yield PlanConsumer
    registry.unregister("plans")


def plan(name: str, advertiser: str = "Acme", bid: str = "0.10") -> bytes:
    return msgspec.json.encode(CampaignPlanned(name, advertiser, bid))


EVENTS = [
    plan("1"),
    plan("2"),
    plan("1"),
    plan("3", advertiser="Nobody"),
    b"garbage",
    plan("4", bid="-1"),
    plan("five"),
]


def test_a_new_consumer_runs_in_memory(consumer: Any, advertiser: Advertiser) -> None:
    log = MemoryLog({"plans": 1})
    for event in EVENTS:
        log.append("plans", event)
    tally = run_consumer(consumer, log).tally
    assert (tally.written, tally.duplicates, tally.failed) == (2, 1, 4)


def test_a_new_consumer_passes_the_system_checks(consumer: Any) -> None:
    assert [message for message in run_checks() if message.obj is consumer] == []


def test_a_new_consumer_runs_by_its_name_against_the_broker(
    consumer: Any, advertiser: Advertiser, make_topic: Callable[..., str], producer: RecordProducer
) -> None:
    consumer.topics = [make_topic(partitions=2)]
    for event in EVENTS:
        producer.send(consumer.topics[0], event, partition=0)
    producer.flush()
    out = StringIO()
    call_command("consume", "plans", "--until-end", "--json", "--group", consumer.topics[0], stdout=out)
    summary = json.loads(out.getvalue())
    assert {name: summary[name] for name in ("received", "written", "duplicates", "skipped", "failed")} == {
        "received": 7,
        "written": 2,
        "duplicates": 1,
        "skipped": 0,
        "failed": 4,
    }
    reasons = FailedRecord.objects.order_by("offset").values_list("reason", flat=True)
    assert list(reasons) == ["unknown_advertiser", "undecodable", "constraint", "handler_error"]
    assert list(Campaign.objects.order_by("id").values_list("id", flat=True)) == [1, 2]


def test_an_unknown_consumer_is_answered_with_those_there_are(consumer: Any) -> None:
    with pytest.raises(Exception, match=r"'nothing'.*clicks.*plans"):
        registry.get("nothing")
