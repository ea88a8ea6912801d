"""What the database itself refuses, and the indexes that every click pays for."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from ads.models import Advertiser, Campaign, Click, Impression

pytestmark = pytest.mark.django_db


def make_campaign(**fields: Any) -> Campaign:
    advertiser = Advertiser.objects.create(id=1, name="A", is_active=True)
    return Campaign.objects.create(**{"id": 2, "advertiser": advertiser, "name": "C", "bid": "0.5"} | fields)


def make_click(campaign: Campaign, **fields: Any) -> Click:
    values: dict[str, Any] = {
        "event_id": uuid.uuid4(),
        "campaign": campaign,
        "advertiser_id": campaign.advertiser_id,
        "occurred_at": timezone.now(),
        "url": "https://shop.example/",
        "cost": Decimal("0.5"),
        "billable": True,
    }
    click: Click = Click.objects.create(**values | fields)
    return click


@contextmanager
def refused(constraint: str) -> Iterator[None]:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        yield


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"bid": "-0.0001"}, "ads_campaign_bid_not_negative"),
        ({"budget": "-1"}, "ads_campaign_budget_not_negative"),
        ({"starts_on": date(2026, 1, 2), "ends_on": date(2026, 1, 1)}, "ads_campaign_ends_after_start"),
    ],
)
def test_a_campaign_that_makes_no_sense_is_refused(fields: dict[str, Any], constraint: str) -> None:
    with refused(constraint):
        make_campaign(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"bid": "0", "budget": "0"},
        {"starts_on": date(2026, 1, 1), "ends_on": date(2026, 1, 1)},
        {"ends_on": date(2026, 1, 1)},
    ],
)
def test_a_campaign_at_the_limits_is_accepted(fields: dict[str, Any]) -> None:
    make_campaign(**fields).full_clean()


def test_an_advertiser_and_a_campaign_can_be_made_by_other_tools_from_the_fields_that_were_agreed() -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO ads_advertiser (id, name, is_active) VALUES (1, 'A', true)")
        cursor.execute(
            "INSERT INTO ads_campaign (id, advertiser_id, name, bid, is_active) VALUES (2, 1, 'C', 0.5, true)"
        )

    assert Campaign.objects.get().created_at <= timezone.now()


def test_a_negative_cost_is_refused() -> None:
    campaign = make_campaign()
    with refused("ads_click_cost_not_negative"):
        make_click(campaign, cost="-1")


def test_an_event_id_is_there_once() -> None:
    click = make_click(make_campaign())
    with refused("ads_click_pkey"):
        make_click(click.campaign, event_id=click.event_id)


def test_a_text_longer_than_its_column_is_refused_not_cut() -> None:
    campaign = make_campaign()
    with pytest.raises(DataError), transaction.atomic():
        make_click(campaign, url="x" * 2049)


def test_a_campaign_with_events_is_not_deleted() -> None:
    click = make_click(make_campaign())
    with pytest.raises(ProtectedError):
        click.campaign.delete()


@pytest.mark.parametrize(
    ("model", "indexes"),
    [
        (Click, {"ads_click_pkey", "ads_click_time", "ads_click_campaign_time"}),
        (Impression, {"ads_impression_pkey", "ads_impression_time", "ads_impression_campaign_time"}),
    ],
)
def test_no_index_is_there_beyond_those_that_have_a_reader(model: type[Any], indexes: set[str]) -> None:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, model._meta.db_table)

    assert {name for name, details in found.items() if details["index"] or details["primary_key"]} == indexes


def test_rows_say_what_they_are() -> None:
    campaign = make_campaign()
    click = make_click(campaign)

    assert (str(campaign), str(campaign.advertiser), str(click)) == ("C", "A", f"click {click.event_id}")
