"""What clicks and impressions become."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from ads.consumers import ClickConsumer, ImpressionConsumer
from ads.events import ClickEvent, ImpressionEvent
from ads.models import Advertiser, Campaign, Click, Impression
from consumers import registry
from consumers.api import RecordError
from consumers.rows import to_model

pytestmark = pytest.mark.django_db

AT = datetime(2026, 1, 2, tzinfo=UTC)


def click(campaign_id: int = 2, **fields: Any) -> ClickEvent:
    values: dict[str, Any] = {"ip": "203.0.113.9", "user_agent": "", "url": "https://shop.example/"}
    return ClickEvent(event_id=uuid.uuid4(), campaign_id=campaign_id, occurred_at=AT, **values | fields)


def impression(campaign_id: int = 2, **fields: Any) -> ImpressionEvent:
    values: dict[str, Any] = {"placement": "top"}
    return ImpressionEvent(event_id=uuid.uuid4(), campaign_id=campaign_id, occurred_at=AT, **values | fields)


@pytest.fixture(autouse=True)
def campaign() -> Campaign:
    advertiser = Advertiser.objects.create(id=1, name="A")
    return Campaign.objects.create(id=2, advertiser=advertiser, name="C", bid=Decimal("0.1234"))


def test_both_are_known_by_the_names_of_their_commands() -> None:
    assert (registry.get("clicks"), registry.get("impressions")) == (ClickConsumer, ImpressionConsumer)
    assert (ClickConsumer.topics, ImpressionConsumer.topics) == (["ads.clicks"], ["ads.impressions"])


def test_a_click_takes_its_advertiser_and_its_cost_from_the_campaign() -> None:
    event = click(impression_id=uuid.uuid4(), user_id="u")
    consumer = ClickConsumer()

    Click.objects.bulk_create([to_model(consumer.process(event, consumer.prefetch([event])))])

    row = Click.objects.get()
    assert (row.advertiser_id, row.cost, row.billable) == (1, Decimal("0.1234"), True)
    assert (row.event_id, row.campaign_id, row.occurred_at, row.ip) == (event.event_id, 2, AT, "203.0.113.9")
    assert (row.impression_id, row.user_id, row.url) == (event.impression_id, "u", event.url)


@pytest.mark.parametrize(("campaigns", "advertisers", "billable"), [(1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 0)])
def test_a_click_is_billable_only_if_campaign_and_advertiser_are_active(
    campaigns: int, advertisers: int, billable: int
) -> None:
    Campaign.objects.update(is_active=bool(campaigns))
    Advertiser.objects.update(is_active=bool(advertisers))
    consumer, event = ClickConsumer(), click()

    assert consumer.process(event, consumer.prefetch([event])).billable == bool(billable)


@pytest.mark.parametrize(("consumer", "event"), [(ClickConsumer(), click(5)), (ImpressionConsumer(), impression(5))])
def test_an_event_of_a_campaign_that_there_is_not_is_rejected_by_name(consumer: Any, event: Any) -> None:
    with pytest.raises(RecordError) as caught:
        consumer.process(event, consumer.prefetch([event]))

    assert (caught.value.reason, caught.value.facts) == ("unknown_campaign", {"campaign_id": 5})


def test_an_impression_without_the_optional_fields_has_empty_ones() -> None:
    consumer, event = ImpressionConsumer(), impression()

    consumer.process(event, consumer.prefetch([event])).save(force_insert=True)

    row = Impression.objects.get()
    assert (row.event_id, row.campaign_id, row.placement) == (event.event_id, 2, "top")
    assert (row.ip, row.user_agent, row.user_id) == (None, "", "")


@pytest.mark.parametrize(("consumer", "make"), [(ClickConsumer(), click), (ImpressionConsumer(), impression)])
def test_one_query_a_chunk_is_all(consumer: Any, make: Any, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    events = [make() for _ in range(50)]
    with django_assert_num_queries(1):
        context = consumer.prefetch(events)
        for event in events:
            consumer.process(event, context)


def test_personal_data_are_never_shown() -> None:
    assert set(ClickConsumer.redact) == set(ImpressionConsumer.redact) == {"ip", "user_agent", "user_id"}
