"""Reprocess and discard: asked first, permitted, bounded, logged."""

from __future__ import annotations

import re
import sys
import types
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from consumers.admin import choice
from consumers.core.errors import ConsumerError, Misconfigured
from consumers.models import FailedRecord
from tests.integration.admin_records import LIST, failed, html, page_of, viewer

pytestmark = pytest.mark.django_db


@dataclass
class Stub:
    """STUB of consumers.reprocess until it exists: resolves what it is given, except what is at an odd offset."""

    calls: list[tuple[int, ...]] = field(default_factory=list)
    error: ConsumerError | None = None

    def reprocess(self, selection: Any, *, by: str, dry_run: bool = False) -> Any:
        self.calls.append(selection.ids)
        if self.error:
            raise self.error
        chosen = FailedRecord.objects.filter(pk__in=selection.ids)
        resolved = [record.pk for record in chosen if record.offset % 2 == 0]
        FailedRecord.objects.filter(pk__in=resolved).update(status="resolved", resolved_by=by)
        total = len(selection.ids)
        return types.SimpleNamespace(attempted=total, resolved=len(resolved), failed=total - len(resolved))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Stub:
    stub = Stub()
    module = types.ModuleType("consumers.reprocess")
    module.Selection = types.SimpleNamespace  # type: ignore[attr-defined]
    module.reprocess = stub.reprocess  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "consumers.reprocess", module)
    return stub


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
def test_an_action_is_neither_offered_nor_done_without_its_permission(
    engine: Stub, action: str, permission: str
) -> None:
    record = failed()
    client = viewer(f"{permission}_failedrecord")
    assert f'<option value="{action}">' not in html(client, reverse(LIST))
    assert f'<option value="{permission}">' in html(client, reverse(LIST))
    assert f"lacks the permission to {action}" in html(client, page_of(record))
    data = {"action": action, "_selected_action": [record.pk], "confirm": "yes", "max_id": record.pk, "note": "x"}
    client.post(reverse(LIST), data | {"ids": str(record.pk)})
    assert engine.calls == []
    assert statuses() == {record.offset: "pending"}
    assert not LogEntry.objects.exists()


def test_an_action_asks_first_and_says_how_many_of_which_reasons(engine: Stub, operator: Client) -> None:
    records = [failed(reason=reason) for reason in ("conflict", "conflict", "invalid")]
    records.append(failed(reason="conflict", status="resolved"))
    page = start(operator, "reprocess", *records)
    assert "3 records will be run through the consumer again" in page.content.decode()
    assert page.context["groups"] == [("admin-test", "conflict", 2), ("admin-test", "invalid", 1)]  # type: ignore[attr-defined]
    assert engine.calls == []


def test_reprocessing_reports_what_became_of_the_records_and_logs_it(engine: Stub, operator: Client) -> None:
    records = [failed(offset=offset) for offset in (2, 4, 5)]
    result = confirm(operator, start(operator, "reprocess", *records))
    assert "3 attempted: 2 resolved, 1 failed again." in result.content.decode()
    assert statuses() == {2: "resolved", 4: "resolved", 5: "pending"}
    assert sorted(LogEntry.objects.values_list("change_message", flat=True)) == [
        "Reprocessed: resolved",
        "Reprocessed: resolved",
        "Reprocessed: still pending",
    ]


def test_only_pending_records_are_reprocessed(engine: Stub, operator: Client) -> None:
    pending = failed(offset=2)
    page = start(operator, "reprocess", pending, failed(offset=4, status="discarded"))
    confirm(operator, page)
    assert engine.calls == [(pending.pk,)]
    assert "None of these records is pending any more" in confirm(operator, page).content.decode()


def test_with_nothing_pending_there_is_a_message_and_no_page(engine: Stub, operator: Client) -> None:
    response = start(operator, "reprocess", failed(status="resolved"))
    assert response.status_code == 302
    assert "there is nothing to reprocess" in html(operator, reverse(LIST))


def test_an_error_of_the_engine_is_shown_and_logged(engine: Stub, operator: Client) -> None:
    engine.error = Misconfigured("no consumer is registered as 'gone'")
    result = confirm(operator, start(operator, "reprocess", failed()))
    assert "Reprocessing stopped: no consumer is registered as" in result.content.decode()
    assert LogEntry.objects.get().change_message.startswith("Reprocessing stopped")


def test_what_failed_after_the_question_is_not_touched(engine: Stub, operator: Client) -> None:
    for offset in (2, 4):
        failed(offset=offset, reason="conflict")
    failed(offset=6, reason="invalid")
    query = "?reason=conflict"
    page = start(operator, "reprocess", across=True, query=query)
    assert "reason=conflict" in page.content.decode()
    failed(offset=8, reason="conflict")
    confirm(operator, page, query)
    assert statuses() == {2: "resolved", 4: "resolved", 6: "pending", 8: "pending"}


def test_a_large_selection_is_reprocessed_in_part_oldest_first(
    engine: Stub, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "FROZEN", 2)
    for offset in (2, 4, 6):
        failed(offset=offset)
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
    engine: Stub, operator: Client, action: str, fields: dict[str, str]
) -> None:
    record = failed()
    data = {"action": action, "_selected_action": [record.pk], "confirm": "yes", "note": "x"} | fields
    response = operator.post(reverse(LIST), data, follow=True)
    assert "Nothing was done" in response.content.decode()
    assert statuses() == {record.offset: "pending"}


def test_an_action_begun_on_a_records_page_ends_there(engine: Stub, operator: Client) -> None:
    record = failed(offset=2)
    data = {"action": "reprocess", "_selected_action": [record.pk], "from_detail": "1"}
    page = operator.post(reverse(LIST), data)
    result = confirm(operator, page)  # type: ignore[arg-type]
    assert result.redirect_chain[-1][0] == page_of(record)  # type: ignore[attr-defined]


def test_an_action_by_get_is_no_action(engine: Stub, operator: Client) -> None:
    record = failed()
    operator.get(reverse(LIST), {"action": "reprocess", "_selected_action": record.pk, "confirm": "yes"})
    assert engine.calls == []
    assert statuses() == {record.offset: "pending"}
