"""Admin pages of both apps: quick on large tables, closed where consumers write."""

import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from ads.ingested_admin import IngestedAdmin
from ads.models import Advertiser, Campaign, Click, Impression
from payments.models import Balance, Payment

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:No directory at:UserWarning")]

WRITTEN_BY_CONSUMERS = [Click, Impression, Payment, Balance]
LISTS = ["ads/advertiser", "ads/campaign", "ads/click", "ads/impression", "payments/payment", "payments/balance"]


def fill(count: int) -> None:
    """So many rows in every table, each of an account of its own."""
    now = timezone.now()
    for number in range(1, count + 1):
        advertiser = Advertiser.objects.create(id=number, name=f"A{number}")
        campaign = Campaign.objects.create(id=number, advertiser=advertiser, name=f"C{number}", bid=1)
        common: dict[str, Any] = {"event_id": uuid.UUID(int=number), "campaign": campaign, "occurred_at": now}
        Click.objects.create(**common, advertiser=advertiser, url="u", cost=1, billable=True)
        Impression.objects.create(**common, placement="p")
        Payment.objects.create(
            transaction_id=f"t{number}", advertiser=advertiser, kind="charge", amount=1, currency="EUR", occurred_at=now
        )
        Balance.objects.create(advertiser=advertiser, currency="EUR", amount=Decimal(1))


@pytest.mark.parametrize("path", LISTS)
def test_a_list_takes_as_many_queries_for_many_rows_as_for_few(admin_client: Client, path: str) -> None:
    taken = []
    for count in (2, 9):
        for model in (*WRITTEN_BY_CONSUMERS, Campaign, Advertiser):
            model._default_manager.all().delete()
        fill(count)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert admin_client.get(f"/admin/{path}/").status_code == 200
        taken.append(len(queries))

    assert taken[0] == taken[1]


@pytest.mark.parametrize("path", LISTS)
def test_no_list_counts_a_whole_table(admin_client: Client, path: str) -> None:
    fill(2)
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(f"/admin/{path}/")

    tables = ("ads_click", "ads_impression", "payments_payment", "payments_balance")
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert all("LIMIT" in sql for sql in counts if any(table in sql for table in tables))


@pytest.mark.parametrize("model", WRITTEN_BY_CONSUMERS)
def test_what_consumers_write_is_not_written_by_hand(model: type[Any], rf: RequestFactory, admin_user: Any) -> None:
    request: HttpRequest = rf.get("/")
    request.user = admin_user
    page = admin.site.get_model_admin(model)

    assert isinstance(page, IngestedAdmin)
    assert page.has_view_permission(request)
    assert not page.has_add_permission(request)
    assert not page.has_change_permission(request)
    assert not page.has_delete_permission(request)


@pytest.mark.parametrize("model", [Advertiser, Campaign])
def test_advertisers_and_campaigns_are_edited_but_not_deleted(
    model: type[Any], rf: RequestFactory, admin_user: Any
) -> None:
    request: HttpRequest = rf.get("/")
    request.user = admin_user
    page = admin.site.get_model_admin(model)

    assert page.has_add_permission(request)
    assert page.has_change_permission(request)
    assert not page.has_delete_permission(request)


@pytest.mark.parametrize(
    ("path", "term", "found"),
    [
        ("ads/click", str(uuid.UUID(int=2)), 1),
        ("ads/click", uuid.UUID(int=2).hex.upper(), 1),
        ("ads/click", " 2 ", 1),
        ("ads/click", "7", 0),
        ("ads/click", "C2", 0),
        ("ads/click", "9" * 40, 0),
        ("ads/click", "1' OR 1=1", 0),
        ("ads/impression", "3", 1),
        ("payments/payment", "t2", 1),
        ("payments/payment", "t", 0),
        ("payments/payment", "2", 1),
        ("payments/balance", "2", 1),
        ("ads/campaign", "C2", 1),
        ("ads/advertiser", "a", 3),
    ],
)
def test_a_search_finds_what_was_asked_for_and_takes_any_text(
    admin_client: Client, path: str, term: str, found: int
) -> None:
    fill(3)
    page = admin_client.get(f"/admin/{path}/", {"q": term})

    assert len(page.context["cl"].result_list) == found


@pytest.mark.parametrize(
    ("path", "term"), [("ads/click", str(uuid.UUID(int=2))), ("ads/click", "2"), ("payments/payment", "t2")]
)
def test_a_search_in_a_large_table_compares_whole_values_only(admin_client: Client, path: str, term: str) -> None:
    fill(2)
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(f"/admin/{path}/", {"q": term})

    assert not [query["sql"] for query in queries if "LIKE" in query["sql"].upper()]


@pytest.mark.parametrize("path", ["ads/advertiser/1", "ads/campaign/1", f"ads/click/{uuid.UUID(int=1)}"])
def test_a_page_of_one_row_opens(admin_client: Client, path: str) -> None:
    fill(1)

    assert admin_client.get(f"/admin/{path}/change/").status_code == 200


@pytest.mark.parametrize("path", ["ads/click", "ads/impression"])
def test_the_links_of_a_campaign_lead_to_its_events(admin_client: Client, path: str) -> None:
    fill(3)
    link = f"/admin/{path}/?campaign__id__exact=2"

    assert link in admin_client.get("/admin/ads/campaign/").content.decode()
    assert len(admin_client.get(link).context["cl"].result_list) == 1
