"""Reprocess and discard: asked first, permitted, bounded, logged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from consumers import registry
from consumers.admin import choice
from consumers.api import BatchConsumer, register, reject
from consumers.models import FailedRecord
from tests.integration.admin_records import LIST, failed, html, page_of, viewer

pytestmark = pytest.mark.django_db


class Team(msgspec.Struct):
    name: str


@pytest.fixture(autouse=True)
def consumer() -> Iterator[None]:
    """Makes groups of users of what it is sent, except of the name "bad"."""

    @register("admin-test")
    class Teams(BatchConsumer[Team, Group]):
        topics = ("orders",)
        event = Team
        model = Group
        unique = ("name",)

        def process(self, event: Team, context: Any) -> Group:
            return reject("bad_name") if event.name == "bad" else Group(name=event.name)

    yield
    registry.unregister("admin-test")


def good(offset: int, **fields: Any) -> FailedRecord:
    return failed(offset=offset, value=b'{"name": "team %d"}' % offset, **fields)


def bad(offset: int, **fields: Any) -> FailedRecord:
    return failed(offset=offset, value=b'{"name": "bad"}', **fields)


def teams() -> set[str]:
    return set(Group.objects.values_list("name", flat=True))


@pytest.fixture
def operator() -> Client:
    return viewer("reprocess_failedrecord", "discard_failedrecord")


def start(client: Client, action: str, *records: FailedRecord, across: bool = False, query: str = "") -> HttpResponse:
    data = {
        "action": action,
        "_selected_action": [record.pk for record in records] or [0],
        "select_across": int(across),
    }
    return client.post(reverse(LIST) + query, data)  # type: ignore[return-value]


def hidden_fields(page: HttpResponse) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.content.decode()):
        if name != "csrfmiddlewaretoken":
            found.setdefault(name, []).append(value)
    return found


def confirm(client: Client, page: HttpResponse, query: str = "", **more: str) -> HttpResponse:
    assert page.status_code == 200
    return client.post(reverse(LIST) + query, hidden_fields(page) | more, follow=True)  # type: ignore[return-value]


def statuses() -> dict[int, str]:
    return dict(FailedRecord.objects.order_by("offset").values_list("offset", "status"))


@pytest.mark.parametrize(("action", "permission"), [("reprocess", "discard"), ("discard", "reprocess")])
def test_an_action_is_neither_offered_nor_done_without_its_permission(action: str, permission: str) -> None:
    record = failed()
    client = viewer(f"{permission}_failedrecord")
    assert f'<option value="{action}">' not in html(client, reverse(LIST))
    assert f'<option value="{permission}">' in html(client, reverse(LIST))
    assert f"lacks the permission to {action}" in html(client, page_of(record))
    data = {"action": action, "_selected_action": [record.pk], "confirm": "yes", "max_id": record.pk, "note": "x"}
    client.post(reverse(LIST), data | {"ids": str(record.pk)})
    assert teams() == set()
    assert statuses() == {record.offset: "pending"}
    assert not LogEntry.objects.exists()


def test_an_action_asks_first_and_says_how_many_of_which_reasons(operator: Client) -> None:
    records = [failed(reason=reason) for reason in ("conflict", "conflict", "invalid")]
    records.append(failed(reason="conflict", status="resolved"))
    page = start(operator, "reprocess", *records)
    assert "3 records will be run through the consumer again" in page.content.decode()
    assert page.context["groups"] == [("admin-test", "conflict", 2), ("admin-test", "invalid", 1)]  # type: ignore[attr-defined]
    assert teams() == set()


def test_reprocessing_reports_what_became_of_the_records_and_logs_it(operator: Client) -> None:
    records = [good(2), good(4), bad(5)]
    result = confirm(operator, start(operator, "reprocess", *records))
    assert "3 attempted: 2 resolved, 1 failed again." in result.content.decode()
    assert statuses() == {2: "resolved", 4: "resolved", 5: "pending"}
    assert teams() == {"team 2", "team 4"}
    assert FailedRecord.objects.get(offset=5).attempts == 2
    assert FailedRecord.objects.get(offset=2).resolved_by.startswith("staff-")
    assert sorted(LogEntry.objects.values_list("change_message", flat=True)) == [
        "Reprocessed: resolved",
        "Reprocessed: resolved",
        "Reprocessed: still pending",
    ]


def test_only_pending_records_are_reprocessed(operator: Client) -> None:
    page = start(operator, "reprocess", good(2), good(4, status="discarded"))
    assert "1 attempted: 1 resolved" in confirm(operator, page).content.decode()
    assert teams() == {"team 2"}
    assert "None of these records is pending any more" in confirm(operator, page).content.decode()


def test_what_was_discarded_after_the_question_is_skipped(operator: Client) -> None:
    first, second = good(2), good(4)
    page = start(operator, "reprocess", first, second)
    FailedRecord.objects.filter(pk=first.pk).update(status="discarded")
    result = confirm(operator, page).content.decode()
    assert "1 attempted: 1 resolved, 0 failed again. 1 record skipped" in result
    assert statuses() == {2: "discarded", 4: "resolved"}


def test_with_nothing_pending_there_is_a_message_and_no_page(operator: Client) -> None:
    response = start(operator, "reprocess", failed(status="resolved"))
    assert response.status_code == 302
    assert "there is nothing to reprocess" in html(operator, reverse(LIST))


def test_an_error_of_the_engine_is_shown_and_logged(operator: Client) -> None:
    result = confirm(operator, start(operator, "reprocess", failed(consumer="gone")))
    assert "Reprocessing stopped: cannot reprocess the failed records of" in result.content.decode()
    assert statuses() == {FailedRecord.objects.get().offset: "pending"}
    assert LogEntry.objects.get().change_message.startswith("Reprocessing stopped")


def test_what_failed_after_the_question_is_not_touched(operator: Client) -> None:
    for offset in (2, 4):
        good(offset, reason="conflict")
    good(6, reason="invalid")
    query = "?reason=conflict"
    page = start(operator, "reprocess", across=True, query=query)
    assert "reason=conflict" in page.content.decode()
    good(8, reason="conflict")
    confirm(operator, page, query)
    assert statuses() == {2: "resolved", 4: "resolved", 6: "pending", 8: "pending"}


def test_a_large_selection_is_reprocessed_in_part_oldest_first(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "FROZEN", 2)
    for offset in (2, 4, 6):
        good(offset)
    page = start(operator, "reprocess", across=True)
    assert "manage.py reprocess_failures" in page.content.decode()
    confirm(operator, page)
    assert statuses() == {2: "resolved", 4: "resolved", 6: "pending"}


def test_discarding_needs_a_reason(operator: Client) -> None:
    record = failed()
    page = start(operator, "discard", record)
    for note in ("", "   ", "\0", "x" * 1001):
        again = confirm(operator, page, note=note)
        assert "errorlist" in again.content.decode()
        assert hidden_fields(again) == hidden_fields(page)
    assert statuses() == {record.offset: "pending"}


def test_discarding_keeps_the_reason_the_user_and_the_time(operator: Client) -> None:
    record = failed()
    result = confirm(operator, start(operator, "discard", record), note="a test <b>message</b>")
    assert "1 record discarded." in result.content.decode()
    record.refresh_from_db()
    assert (record.status, record.note) == ("discarded", "a test <b>message</b>")
    assert record.resolved_by.startswith("staff-")
    assert record.resolved_at is not None
    assert LogEntry.objects.get().change_message == "Discarded: a test <b>message</b>"
    page = html(operator, page_of(record))
    assert "a test &lt;b&gt;message" in page
    assert "only pending records are reprocessed or discarded" in page


def test_discarding_more_than_are_carried_by_id_is_bounded_by_the_filter_and_the_highest_id(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "FROZEN", 2)
    monkeypatch.setattr("consumers.admin.actions.FROZEN", 2)
    for offset in range(1, 6):
        failed(offset=offset, reason="conflict")
    failed(offset=6, reason="invalid")
    query = "?reason=conflict"
    page = start(operator, "discard", across=True, query=query)
    assert "ids" not in hidden_fields(page)
    failed(offset=7, reason="conflict")
    result = confirm(operator, page, query, note="a broken producer")
    assert "5 records discarded." in result.content.decode()
    assert statuses() == dict.fromkeys(range(1, 6), "discarded") | {6: "pending", 7: "pending"}
    entry = LogEntry.objects.get()
    assert entry.change_message == "Discarded all that match reason=conflict: a broken producer"


def test_a_selection_of_a_thousand_is_one_field_on_the_page_and_few_queries(operator: Client) -> None:
    template = failed(offset=0)
    values = FailedRecord.objects.values().get(pk=template.pk)
    FailedRecord.objects.bulk_create(FailedRecord(**values | {"id": None, "offset": n}) for n in range(1, 1000))
    with CaptureQueriesContext(connection) as asked:
        page = start(operator, "discard", across=True)
    fields = hidden_fields(page)
    assert sum(map(len, fields.values())) < 10
    assert len(fields["ids"][0].split(",")) == 1000
    with CaptureQueriesContext(connection) as done:
        confirm(operator, page, note="all of it")
    assert len(asked) < 20
    assert len(done) < 40
    assert set(statuses().values()) == {"discarded"}


@pytest.mark.parametrize("action", ["reprocess", "discard"])
@pytest.mark.parametrize(
    "fields",
    [
        {"max_id": "x"},
        {"max_id": ""},
        {"max_id": "9" * 30},
        {"max_id": "5", "ids": "1,drop"},
        {"max_id": "5", "ids": "9" * 25},
        {"max_id": "5", "ids": ",".join(map(str, range(2000)))},
    ],
)
def test_a_confirmation_that_was_tampered_with_does_nothing(
    operator: Client, action: str, fields: dict[str, str]
) -> None:
    record = failed()
    data = {"action": action, "_selected_action": [record.pk], "confirm": "yes", "note": "x"} | fields
    response = operator.post(reverse(LIST), data, follow=True)
    assert "Nothing was done" in response.content.decode()
    assert statuses() == {record.offset: "pending"}


def test_an_action_begun_on_a_records_page_ends_there(operator: Client) -> None:
    record = good(2)
    data = {"action": "reprocess", "_selected_action": [record.pk], "from_detail": "1"}
    page = operator.post(reverse(LIST), data)
    result = confirm(operator, page)  # type: ignore[arg-type]
    assert result.redirect_chain[-1][0] == page_of(record)  # type: ignore[attr-defined]


def test_an_action_by_get_is_no_action(operator: Client) -> None:
    record = failed()
    operator.get(reverse(LIST), {"action": "reprocess", "_selected_action": record.pk, "confirm": "yes"})
    assert teams() == set()
    assert statuses() == {record.offset: "pending"}
