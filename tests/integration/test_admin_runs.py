"""The pages of retry runs: confirmed by what was shown, tried out first, ordered about, and only by who may."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from consumers.inbox.runs import orders
from consumers.models import FailedAttempt, FailedRecord, RetryRun
from tests.integration.admin_records import LIST, client_with, html, viewer
from tests.integration.retry_runs import Teams, start, state, team, teams, work_off

pytestmark = pytest.mark.django_db

START = "admin:consumers_retryrun_start"


@pytest.fixture(autouse=True)
def consumer(registered: Callable[[type], type]) -> type:
    return registered(Teams)


@pytest.fixture
def operator() -> Client:
    return viewer("reprocess_failedrecord")


def asked(client: Client, **query: Any) -> HttpResponse:
    response = client.get(reverse(START), query)
    assert response.status_code == 200
    return response  # type: ignore[return-value]


def fields_of(page: HttpResponse) -> dict[str, str]:
    frozen = re.search(r'name="frozen" value="([^"]+)"', page.content.decode())
    assert frozen
    return {"frozen": frozen[1], "reason": "mended", "rate": "0", "pause_above": "50", "ramp": "1, 5", "number": "50"}


def confirmed(client: Client, page: HttpResponse, **more: str) -> HttpResponse:
    return client.post(reverse(START), fields_of(page) | more, follow=True)  # type: ignore[return-value]


def page_of(run: RetryRun) -> str:
    return reverse("admin:consumers_retryrun_change", args=[run.pk])


def order(client: Client, run: RetryRun, what: str) -> HttpResponse:
    address = reverse("admin:consumers_retryrun_order", args=[run.pk])
    return client.post(address, {"order": what}, follow=True)  # type: ignore[return-value]


def test_the_query_is_shown_before_anything_happens_and_the_run_is_over_what_was_shown(operator: Client) -> None:
    team("one", reason="conflict")
    team("other", reason="invalid")
    page = asked(operator, consumer="admin-test", reason="conflict")
    text = page.content.decode()
    assert "What will be retried: 1 record" in text
    assert "<code>reason = conflict</code>" in text
    assert page.context["groups"] == [("admin-test", "conflict", 1)]  # type: ignore[attr-defined]
    assert not RetryRun.objects.exists()
    team("late", reason="conflict")
    confirmed(operator, page)
    run = RetryRun.objects.get()
    assert run.selection == {"consumer": "admin-test", "reason": "conflict"}
    assert (run.reason, run.ramp, run.by[:6]) == ("mended", [1, 5], "staff-")
    assert LogEntry.objects.get().object_id == str(run.pk)
    work_off()
    assert teams() == {"one"}


def test_the_page_counts_the_records_once(operator: Client) -> None:
    team("one")
    with CaptureQueriesContext(connection) as queries:
        asked(operator)
    assert len([q for q in queries if "COUNT(*)" in q["sql"] and "consumers_failedrecord" in q["sql"]]) == 1


def test_a_group_is_retried_by_consumer_and_fingerprint(operator: Client) -> None:
    team("alike", fingerprint="f" * 16)
    team("unlike")
    confirmed(operator, asked(operator, consumer="admin-test", fingerprint="f" * 16))
    work_off()
    assert teams() == {"alike"}


def test_records_chosen_in_the_list_are_retried_and_no_others(operator: Client) -> None:
    chosen = [team("one"), team("two")]
    team("three")
    data = {"action": "retry", "_selected_action": [record.pk for record in chosen], "select_across": "0"}
    response = operator.post(reverse(LIST), data)
    assert response.status_code == 302
    page = operator.get(response["Location"])
    assert "2 records chosen by hand" in page.content.decode()
    confirmed(operator, page)  # type: ignore[arg-type]
    work_off()
    assert teams() == {"one", "two"}


def test_everything_that_a_filter_shows_is_retried_by_its_conditions(operator: Client) -> None:
    for number in range(3):
        team(f"team {number}", reason="conflict")
    team("other")
    query = "?reason=conflict&since=1h&status=pending"
    data = {"action": "retry", "_selected_action": ["0"], "select_across": "1"}
    response = operator.post(reverse(LIST) + query, data)
    page = operator.get(response["Location"])
    text = page.content.decode()
    assert "reason = conflict" in text
    assert re.search(r"last failed at \d{4}-\d\d-\d\d .*or later \(in the past hour\)", text)
    confirmed(operator, page)  # type: ignore[arg-type]
    assert set(RetryRun.objects.get().selection) == {"reason", "last_failed_at__gte"}
    work_off()
    assert teams() == {"team 0", "team 1", "team 2"}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"status": "resolved"}, "only pending ones can be retried"),
        ({"something": "else"}, "filtered by &#x27;something&#x27;"),
        ({"reason": "a", "q": "orders[0]", "topic": "clicks"}, "two values of topic"),
        ({"since": "yesterday"}, "no span of time"),
        ({"ids": "1,2,drop"}, "ids must be at most"),
        ({"reason": "\0"}, "the character NUL"),
        ({"run": "x"}, "the number of a run"),
    ],
)
def test_what_cannot_be_frozen_is_refused_with_a_reason(operator: Client, query: dict[str, str], said: str) -> None:
    team("one")
    response = operator.get(reverse(START), query, follow=True)
    assert said in response.content.decode()
    assert not RetryRun.objects.exists()


def test_a_search_is_frozen_as_what_it_means(operator: Client) -> None:
    team("one", message="no such thing")
    team("two", message="other")
    assert "message contains" in asked(operator, q="such").content.decode()
    confirmed(operator, asked(operator, q="such"))
    work_off()
    assert teams() == {"one"}


def test_a_dry_run_says_what_would_happen_by_reason_and_changes_nothing(operator: Client) -> None:
    for name in ("good", "bad 1", "bad 2"):
        team(name)
    Teams.model.objects.create(name="there")
    team("there")
    result = confirmed(operator, asked(operator), dry_run="yes")
    trial = result.context["trial"]  # type: ignore[attr-defined]
    assert (trial.attempted, trial.written, trial.duplicates, trial.failed) == (4, 1, 1, (("bad_name", 2),))
    assert "would fail again: <strong>bad_name</strong>" in result.content.decode()
    assert teams() == {"there"}
    assert not RetryRun.objects.exists()
    assert not FailedAttempt.objects.exists()
    assert set(FailedRecord.objects.values_list("status", "attempts")) == {("pending", 1)}


def test_a_dry_run_tries_no_more_records_than_asked_and_tells_of_an_error(operator: Client) -> None:
    team("one")
    team("fatal")
    page = asked(operator)
    assert confirmed(operator, page, dry_run="yes", number="1").context["trial"].attempted == 1  # type: ignore[attr-defined]
    assert "a rejected credential" in confirmed(operator, page, dry_run="yes").content.decode()
    assert "less than or equal to 200" in confirmed(operator, page, dry_run="yes", number="201").content.decode()
    assert teams() == set()


def test_a_confirmation_that_is_sent_twice_starts_one_run(operator: Client) -> None:
    team("one")
    page = asked(operator)
    confirmed(operator, page)
    confirmed(operator, page)
    assert RetryRun.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("reason", " "), ("rate", "-1"), ("rate", "nan"), ("pause_above", "101"), ("ramp", "1, x"), ("ramp", "0")],
)
def test_a_mistake_in_the_form_is_said_at_its_field(operator: Client, field: str, value: str) -> None:
    team("one")
    page = confirmed(operator, asked(operator), **{field: value})
    assert field in page.context["form"].errors  # type: ignore[attr-defined]
    assert not RetryRun.objects.exists()


def test_a_confirmation_that_was_tampered_with_starts_nothing(operator: Client) -> None:
    team("one")
    page = asked(operator)
    result = confirmed(operator, page, frozen=fields_of(page)["frozen"][:-3] + "xyz")
    assert "Nothing was started" in result.content.decode()
    assert not RetryRun.objects.exists()


def test_who_may_only_look_sees_the_page_with_its_buttons_disabled_and_can_start_nothing() -> None:
    team("one")
    client = viewer()
    page = asked(client)
    assert "lacks the permission to reprocess" in page.content.decode()
    assert re.search(r'type="submit" class="default"[^>]* disabled', page.content.decode())
    for more in ({}, {"dry_run": "yes"}):
        assert client.post(reverse(START), fields_of(page) | more).status_code == 403
    assert not RetryRun.objects.exists()


def test_who_may_not_even_look_sees_nothing_of_runs() -> None:
    run = start()
    client = client_with("view_partitionledger")
    live = reverse("admin:consumers_retryrun_live", args=[run.pk])
    for address in (reverse(START), page_of(run), live, reverse("admin:consumers_retryrun_changelist")):
        assert client.get(address).status_code == 403
    assert order(client, run, "cancel").status_code == 403
    assert Client().get(live).status_code == 302


def test_a_run_is_paused_resumed_and_cancelled_and_that_is_logged(operator: Client) -> None:
    team("one")
    run = start()
    for what, then in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")):
        assert "disabled" not in re.search(rf'<button[^>]*value="{what}"[^>]*>', html(operator, page_of(run)))[0]  # type: ignore[index]
        order(operator, run, what)
        assert state(run) == then
    assert [entry.change_message for entry in LogEntry.objects.order_by("pk")] == ["Paused", "Resumed", "Cancelled"]
    assert "the run is cancelled" in order(operator, run, "resume").content.decode()
    assert "must be pause, resume or cancel" in order(operator, run, "explode").content.decode()


def test_orders_take_the_permission_and_a_post() -> None:
    run = start()
    client = viewer()
    assert order(client, run, "cancel").status_code == 403
    assert "lacks the permission" in html(client, page_of(run))
    address = reverse("admin:consumers_retryrun_order", args=[run.pk])
    assert viewer("reprocess_failedrecord").get(address, {"order": "cancel"}).status_code == 405
    assert state(run) == "queued"


def test_orders_without_a_csrf_token_are_refused(operator: Client) -> None:
    run = start()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert order(strict, run, "cancel").status_code == 403
    assert strict.post(reverse(START), {}).status_code == 403
    assert state(run) == "queued"


def test_the_page_and_its_live_figures_tell_what_the_run_came_to(operator: Client) -> None:
    for name in ("good 1", "good 2", "bad"):
        team(name)
    run = start(pause_above=1.0)
    work_off()
    live = operator.get(reverse("admin:consumers_retryrun_live", args=[run.pk]))
    assert "no-store" in live["Cache-Control"]
    told = live.json()
    assert (told["state"], told["succeeded"], told["failed_again"], told["left"]) == ("done", 2, 1, 0)
    assert told["by_reason"] == [["bad_name", 1]]
    page = html(operator, page_of(run))
    assert 'data-run="succeeded">2<' in page
    assert f"?run={run.pk}" in page
    failed_again = operator.get(reverse(LIST), {"run": run.pk})
    assert [record.reason for record in failed_again.context["cl"].result_list] == ["bad_name"]


def test_what_failed_again_in_a_run_can_be_retried_in_another(operator: Client) -> None:
    for name in ("good", "bad 1", "bad 2"):
        team(name)
    first = start(pause_above=1.0)
    work_off()
    team("bad 3")
    confirmed(operator, asked(operator, run=first.pk), pause_above="100")
    work_off()
    second = RetryRun.objects.exclude(pk=first.pk).get()
    assert set(second.attempts.values_list("reason", flat=True)) == {"bad_name"}
    assert second.attempts.count() == 2


def test_the_page_says_that_nobody_works_and_how_to_start_a_worker(operator: Client) -> None:
    team("one")
    run = start()
    RetryRun.objects.update(state_at="2026-01-01T00:00:00Z")
    page = html(operator, page_of(run))
    assert "Nobody is working on this run" in page
    assert "manage.py reprocess_failures --watch" in page


HOSTILE = "<script>alert(1)</script>\u202e\x1b[31m"


def test_hostile_texts_break_no_page(operator: Client) -> None:
    team("one", reason=HOSTILE[:20])
    page = asked(operator, reason=HOSTILE[:20])
    confirmed(operator, page, reason=HOSTILE)
    run = RetryRun.objects.get()
    orders.pause(run, by="bob", reason=HOSTILE)
    for address in (page_of(run), reverse("admin:consumers_retryrun_changelist")):
        text = html(operator, address)
        assert "<script>alert" not in text
        assert "\u202e" not in text
        assert "\x1b" not in text
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)
    assert "<script>alert" not in page.content.decode()


def test_the_list_shows_runs_with_few_queries(operator: Client, django_assert_max_num_queries: Any) -> None:
    for _ in range(20):
        start()
    with django_assert_max_num_queries(8):
        text = html(operator, reverse("admin:consumers_retryrun_changelist"))
    assert "0 succeeded, 0 failed again, of about 0" in text
