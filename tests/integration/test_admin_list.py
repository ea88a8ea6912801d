"""The list of failed records: fast, searchable, and for those who may see it."""

from __future__ import annotations

import datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from consumers.admin import paging, search
from consumers.admin.distinct import leading_values
from consumers.admin.paging import EstimatedCountPaginator
from consumers.models import FailedRecord, PartitionLedger
from tests.integration.admin_records import LIST, client_with, failed, html, page_of, viewer

pytestmark = pytest.mark.django_db


def offsets(client: Client, **query: str) -> set[int]:
    response = client.get(reverse(LIST), query)
    assert response.status_code == 200
    return {record.offset for record in response.context["cl"].result_list}


def test_who_lacks_the_view_permission_sees_neither_list_nor_page() -> None:
    record = failed()
    client = client_with()
    assert client.get(reverse(LIST)).status_code == 403
    assert client.get(page_of(record)).status_code == 403


def test_an_anonymous_visitor_is_sent_to_the_login() -> None:
    response = Client().get(reverse(LIST))
    assert response.status_code == 302
    assert "/login/" in response["Location"]


def test_nobody_adds_or_changes_a_record_not_even_a_superuser(admin_client: Client) -> None:
    record = failed()
    assert admin_client.get(reverse("admin:consumers_failedrecord_add")).status_code == 403
    assert admin_client.post(page_of(record), {"reason": "other"}).status_code == 403
    record.refresh_from_db()
    assert record.reason == "invalid"


def test_deleting_takes_the_delete_permission_and_there_is_no_deletion_in_bulk(admin_client: Client) -> None:
    record = failed()
    address = reverse("admin:consumers_failedrecord_delete", args=[record.pk])
    assert viewer().post(address, {"post": "yes"}).status_code == 403
    assert "delete_selected" not in html(admin_client, reverse(LIST))
    assert admin_client.post(address, {"post": "yes"}).status_code == 302
    assert not FailedRecord.objects.exists()


def test_the_list_takes_a_fixed_number_of_queries_and_fetches_no_payloads() -> None:
    for _ in range(3):
        failed(value=b"the payload", traceback="the traceback", reason="one")
    client = viewer()
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get(reverse(LIST))
    for number in range(40):
        failed(reason=f"reason-{number}", topic=f"topic-{number}")
    with CaptureQueriesContext(connection) as many:
        client.get(reverse(LIST))
    assert len(many) == len(few) <= 10
    selects = [query["sql"] for query in many if '"consumers_failedrecord"."offset"' in query["sql"]]
    assert selects
    for column in ("value", "traceback", "headers", "key", "message"):
        assert not any(f'"consumers_failedrecord"."{column}"' in sql for sql in selects)


def test_filters_narrow_the_list() -> None:
    old = timezone.now() - datetime.timedelta(days=2)
    failed(offset=1, reason="conflict", topic="a", consumer="first", fingerprint="f" * 16)
    failed(offset=2, reason="invalid", topic="b", consumer="second", status="discarded", last_failed_at=old)
    client = viewer()
    assert offsets(client) == {1, 2}
    assert offsets(client, reason="conflict") == {1}
    assert offsets(client, topic="b") == {2}
    assert offsets(client, consumer="first") == {1}
    assert offsets(client, status="discarded") == {2}
    assert offsets(client, since="1d") == {1}
    assert offsets(client, since="3d") == {1, 2}
    assert offsets(client, fingerprint="f" * 16) == {1}


@pytest.mark.parametrize("name", ["status", "reason", "topic", "consumer", "fingerprint", "since", "q"])
@pytest.mark.parametrize("value", ["\0", "no such thing", "\u202e<script>", "9" * 400])
def test_a_filter_with_any_value_is_answered(name: str, value: str) -> None:
    failed()
    assert viewer().get(reverse(LIST), {name: value}).status_code in (200, 302)


def test_the_search_finds_by_offset_position_fingerprint_reason_topic_and_message() -> None:
    failed(offset=11, topic="ads.clicks", partition=3, reason="conflict", message="amount differs")
    failed(offset=12, topic="ads.clicks", partition=4, fingerprint="00000000000000aa", message="a conflict of 100%")
    failed(offset=11, topic="payments")
    client = viewer()
    assert offsets(client, q="12") == {12}
    assert offsets(client, q="ads.clicks[3]@11") == {11}
    assert offsets(client, q="ads.clicks[4]") == {12}
    assert offsets(client, q="00000000000000aa") == {12}
    assert offsets(client, q="conflict") == {11}
    assert offsets(client, q="ads.clicks") == {11, 12}
    assert offsets(client, q="DIFFERS") == {11}
    assert offsets(client, q="100%") == {12}
    assert offsets(client, q="99999999999999999999999") == set()


def test_messages_are_searched_among_the_newest_records_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "NEWEST", 2)
    for offset in (1, 2, 3):
        failed(offset=offset, message="needle")
    assert offsets(viewer(), q="needle") == {2, 3}


def test_leading_values_are_those_of_select_distinct() -> None:
    for group, topic in (("a", "x"), ("a", "y"), ("b", "x"), ("b", "x")):
        failed(group=group, topic=topic)
    assert leading_values(FailedRecord, "group", "topic") == [("a", "x"), ("a", "y"), ("b", "x")]
    assert leading_values(FailedRecord, "reason") == [("invalid",)]


def test_leading_values_of_an_empty_table_are_none() -> None:
    assert leading_values(FailedRecord, "reason") == []


def test_the_count_is_exact_up_to_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "EXACT_UP_TO", 5)
    for _ in range(5):
        failed()
    assert EstimatedCountPaginator(FailedRecord.objects.all(), 50).count == 5


def test_beyond_the_bound_the_count_is_the_planners_and_never_less_than_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paging, "EXACT_UP_TO", 5)
    for number in range(40):
        failed(reason="often" if number % 4 else "seldom")
    never_analysed = EstimatedCountPaginator(FailedRecord.objects.all(), 50).count
    assert never_analysed >= 6
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE consumers_failedrecord")
    everything = EstimatedCountPaginator(FailedRecord.objects.all(), 50)
    often = EstimatedCountPaginator(FailedRecord.objects.filter(reason="often"), 50)
    with CaptureQueriesContext(connection) as queries:
        assert everything.count == 40
        assert often.count == 30
    assert not any("COUNT" in query["sql"] and "LIMIT 6" not in query["sql"] for query in queries)


def test_the_count_of_something_other_than_a_query_is_its_length() -> None:
    assert EstimatedCountPaginator([1, 2, 3], 2).count == 3


def test_the_ledger_is_shown_and_cannot_be_changed(admin_client: Client) -> None:
    row = PartitionLedger.objects.create(
        group="g", topic="orders", partition=0, next_offset=5, counted_to=5, received=5, written=3, failed=2
    )
    listed = html(admin_client, reverse("admin:consumers_partitionledger_changelist"))
    assert "?topic=orders" in listed
    address = reverse("admin:consumers_partitionledger_change", args=[row.pk])
    assert admin_client.get(address).status_code == 200
    assert admin_client.post(address, {"next_offset": 0}).status_code == 403
    assert admin_client.post(reverse("admin:consumers_partitionledger_delete", args=[row.pk])).status_code == 403
    assert not LogEntry.objects.exists()
