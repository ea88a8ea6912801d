"""The inbox's pages: what they show, who may do what, and that they never count the failed records."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from consumers.admin import group_acts
from consumers.api import BatchConsumer
from consumers.models import Alert, FailureDelta, FailureGroup, FailureNote
from tests.integration.admin_records import client_with, html
from tests.integration.inbox import CONSUMER, fail, group, records, taken_up

pytestmark = pytest.mark.django_db

LIST = "admin:consumers_failuregroup_changelist"


def listed(client: Client, **query: Any) -> str:
    return html(client, reverse(LIST, query=query))


def reasons(text: str) -> set[str]:
    """Of the groups in a list."""
    return set(re.findall(r'class="inbox-reason" href="[^"]+">(\w+)', text))


def page(client: Client, kind: int = 1) -> str:
    return html(client, reverse("admin:consumers_failuregroup_change", args=[group(kind).pk]))


def act(client: Client, do: str, kind: int = 1, **fields: Any) -> Any:
    address = reverse("admin:consumers_failuregroup_act", args=[group(kind).pk])
    return client.post(address, {"do": do, **fields}, follow=True)


def viewer(*more: str) -> Client:
    return client_with("view_failuregroup", "view_failedrecord", *more)


@pytest.fixture
def operator() -> Client:
    return viewer("assign_failuregroup", "discard_failedrecord", "reprocess_failedrecord")


# ---- the list -------------------------------------------------------------------------------------------------------


def test_a_kind_of_failure_is_one_line_however_often_it_failed() -> None:
    fail(3, message="name 1 is bad")
    fail(2, message="name 2 is bad", partition=1)
    text = listed(viewer())
    assert text.count('class="inbox-reason"') == 1
    assert "name # is bad" in text
    assert ">5</a>" in text
    assert ">of 5</a>" in text
    assert "0-1" in text
    assert "5 in 7 days" in text
    assert not FailureDelta.objects.exists()


def test_the_list_reads_groups_and_buckets_but_no_failed_records() -> None:
    fail(3)
    fail(3, kind=2)
    client = viewer()
    listed(client)
    with CaptureQueriesContext(connection) as queries:
        listed(client)
    about_records = [q["sql"] for q in queries if 'FROM "consumers_failedrecord"' in q["sql"]]
    assert all("RECURSIVE" in sql for sql in about_records)  # the filters' choices, by an index
    assert len(queries) < 25


def test_without_a_filter_only_what_wants_something_done_is_listed(operator: Client) -> None:
    fail(kind=1, reason="open_one")
    fail(kind=2, reason="closed_one")
    act(operator, "resolve", kind=2)
    assert reasons(listed(operator)) == {"open_one"}
    assert reasons(listed(operator, status="all")) == {"open_one", "closed_one"}
    assert reasons(listed(operator, status="resolved")) == {"closed_one"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"reason": "one"}, {"one"}),
        ({"topic": "clicks"}, {"two"}),
        ({"assigned_to": "ann"}, {"one"}),
        ({"assigned_to": "-"}, {"two"}),
        ({"consumer": "inbox-test"}, {"one", "two"}),
        ({"consumer": "other"}, set()),
        ({"q": "special"}, {"two"}),
        ({"reason": "\0"}, set()),
        ({"topic": "\0"}, set()),
    ],
)
def test_groups_are_found_by(query: dict[str, str], found: set[str]) -> None:
    fail(kind=1, reason="one")
    fail(kind=2, reason="two", topic="clicks", message="something special")
    taken_up()
    FailureGroup.objects.filter(reason="one").update(assigned_to="ann")
    assert reasons(listed(viewer(), **query)) == found


def test_the_matrix_counts_by_reason_and_time_and_leads_to_the_records() -> None:
    fail(3, reason="one")
    taken_up()
    fail(2, reason="one")
    FailureDelta.objects.update(at=timezone.now() - timedelta(hours=2))
    text = listed(viewer())
    row = re.search(r'<th scope="row">one</th>(.*?)</tr>', text, re.DOTALL)
    assert row
    assert re.findall(r">(\d+)</", row[1]) == ["5", "3", "5", "5", "5", "5", "5"]
    assert "/admin/consumers/failedrecord/?reason=one&amp;since=1h" in row[1]


def test_hostile_text_in_a_failure_does_not_break_out_of_the_page() -> None:
    fail(reason="<script>alert(1)</script>", message="<img src=x> \u202e reversed", topic="a")
    for text in (listed(viewer()), page(viewer())):
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "\u202e" not in text


def test_the_pages_hold_no_inline_script_or_style() -> None:
    fail()
    for text in (listed(viewer()), page(viewer())):
        assert not re.search(r"\sstyle=|\son\w+=", text)
        assert not re.search(r"<script(?![^>]*\bsrc=)", text)


# ---- one group ------------------------------------------------------------------------------------------------------


def test_a_groups_page_shows_its_trend_an_example_and_its_records() -> None:
    fail(2, message="name 7 is bad", topic="orders", partition=3)
    text = page(viewer())
    assert "name # is bad" in text
    assert "orders[3]@" in text
    assert "name 7 is bad" in text
    assert "2 in 7 days" in text
    assert f"fingerprint={1:016x}&amp;status=pending" in text


def test_the_page_of_a_group_whose_example_was_deleted_is_shown_without_it() -> None:
    fail()
    taken_up()
    records().delete()
    assert "An example" not in page(viewer())


def example_of(text: str) -> int:
    """The offset of the failure that a group's page shows."""
    shown = re.search(r"orders\[0\]@(\d+)", text)
    assert shown
    return int(shown[1])


def test_the_failures_of_a_group_are_stepped_through_on_its_page() -> None:
    fail(3)
    fail(kind=2)
    client = viewer()
    address = reverse("admin:consumers_failuregroup_change", args=[group().pk])
    first, second, third = records().order_by("pk")
    text = page(client)
    assert example_of(text) == third.offset
    assert "no later one in this group" in text
    assert f'href="?example={second.pk}#inbox-example"' in text
    text = html(client, f"{address}?example={second.pk}")
    assert example_of(text) == second.offset
    assert f"?example={first.pk}#" in text
    assert f"?example={third.pk}#" in text
    assert "no earlier one in this group" in html(client, f"{address}?example={first.pk}")


@pytest.mark.parametrize("asked", ["x", "\0", "-1", "9" * 40, "of another group"])
def test_a_groups_page_shows_no_failure_that_is_not_its_own(asked: str) -> None:
    fail()
    fail(kind=2, message="not of this one")
    other = str(records(2).get().pk) if asked == "of another group" else asked
    text = html(viewer(), reverse("admin:consumers_failuregroup_change", args=[group().pk], query={"example": other}))
    assert example_of(text) == records().get().offset
    assert "not of this one" not in text


class Named(msgspec.Struct):
    name: str


class Redacting(BatchConsumer[Named, FailureGroup]):
    """Redacts by now what it did not when its first records failed."""

    name = CONSUMER
    topics = ("orders",)
    event = Named
    redact = ("name",)


def test_a_message_from_before_its_consumer_redacted_is_masked_in_the_list_and_on_the_page(
    registered: Callable[[type], type],
) -> None:
    fail(message="no such person: Ada the 1st", value=b'{"name": "Ada the 1st"}')
    fail(kind=2, message="no such person: Bob", value=b"no json")
    fail(kind=3, message="Ada is gone")
    taken_up()
    records(3).delete()
    registered(Redacting)
    for text in (listed(viewer()), page(viewer()), page(client_with("view_failuregroup"))):
        assert "Ada the" not in text
        assert "no such person: [redacted]" in text
    assert "Ada is gone" in page(viewer(), 3)


def test_acknowledging_makes_a_new_group_a_known_one(operator: Client) -> None:
    fail()
    assert group().status == "new"
    act(operator, "acknowledge")
    assert group().status == "known"
    assert "nothing to do" in act(operator, "acknowledge").content.decode()


def test_what_people_do_is_noted_and_logged(operator: Client) -> None:
    fail()
    act(operator, "comment", text="looking <b>into</b> it")
    note = FailureNote.objects.get(kind="comment")
    assert (note.text, note.group, note.by[:5]) == ("looking <b>into</b> it", group(), "staff")
    assert "looking &lt;b&gt;into&lt;/b&gt; it" in page(operator)
    assert LogEntry.objects.get().object_id == str(group().pk)


def test_a_group_is_assigned_to_a_member_of_staff_and_to_nobody_else(operator: Client) -> None:
    User.objects.create_user("ann", is_staff=True)
    User.objects.create_user("outsider")
    fail()
    act(operator, "assign", to="ann")
    assert group().assigned_to == "ann"
    assert "no active member of staff" in act(operator, "assign", to="outsider").content.decode()
    assert group().assigned_to == "ann"
    act(operator, "assign", to="")
    assert group().assigned_to == ""


def test_discarding_a_group_leaves_alone_what_failed_after_the_page_was_shown(operator: Client) -> None:
    fail(3)
    shown = page(operator)
    fail(2)
    upper = re.search(r'name="upper_id" value="(\d+)"', shown)
    assert upper
    act(operator, "discard", note="test data", upper_id=upper[1])
    assert sorted(records().values_list("status", flat=True)) == ["discarded"] * 3 + ["pending"] * 2
    assert set(records().filter(status="discarded").values_list("note", flat=True)) == {"test data"}
    assert (group().pending, group().discarded) == (2, 3)


def test_a_huge_group_is_discarded_in_parts(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_acts, "DISCARDED_AT_ONCE", 3)
    fail(5)
    assert "There are more" in act(operator, "discard", note="x", upper_id=2**40).content.decode()
    assert list(records().filter(status="discarded")) == list(records().order_by("-id")[2:])
    act(operator, "discard", note="x", upper_id=2**40)
    assert group().pending == records().filter(status="pending").count() == 0


def test_a_group_is_not_discarded_without_a_reason(operator: Client) -> None:
    fail()
    assert "Nothing was done" in act(operator, "discard", note=" ", upper_id=2**40).content.decode()
    assert records().filter(status="pending").count() == 1


@pytest.mark.parametrize("do", ["acknowledge", "resolve", "assign", "comment", "archive", "discard"])
def test_nothing_is_done_without_the_permission(do: str) -> None:
    fail()
    fields = {"text": "x", "until": "ever", "note": "x", "upper_id": 2**40}
    assert act(viewer(), do, **fields).status_code == 403
    assert group().status == "new"
    assert not FailureNote.objects.exists()
    assert records().get().status == "pending"


def test_who_may_only_work_on_groups_may_not_discard_their_records() -> None:
    fail()
    assert act(viewer("assign_failuregroup"), "discard", note="x", upper_id=2**40).status_code == 403
    assert act(viewer("assign_failuregroup"), "acknowledge").status_code == 200


def test_who_may_not_see_groups_sees_and_changes_none() -> None:
    fail()
    client = client_with("assign_failuregroup", "view_failedrecord")
    assert client.get(reverse(LIST)).status_code == 403
    assert act(client, "acknowledge").status_code == 403


def test_who_may_not_see_groups_does_not_bring_them_up_to_date_either() -> None:
    fail()
    client = client_with("view_failedrecord")
    known = group().pk
    fail()
    for address in (reverse(LIST), reverse("admin:consumers_failuregroup_change", args=[known])):
        assert client.get(address).status_code == 403
    missing = reverse("admin:consumers_failuregroup_act", args=[known + 1])
    assert client.post(missing, {"do": "acknowledge"}).status_code == 403
    assert FailureDelta.objects.count() == 1


def test_an_example_is_shown_to_those_only_who_may_see_failed_records() -> None:
    fail(message="a secret thing")
    taken_up()
    assert "An example" not in page(client_with("view_failuregroup"))


def test_a_get_changes_nothing(operator: Client) -> None:
    fail()
    address = reverse("admin:consumers_failuregroup_act", args=[group().pk])
    assert operator.get(address, {"do": "acknowledge"}).status_code == 405
    assert group().status == "new"


def test_a_post_without_csrf_token_is_refused(operator: Client) -> None:
    fail()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    address = reverse("admin:consumers_failuregroup_act", args=[group().pk])
    assert strict.post(address, {"do": "acknowledge"}).status_code == 403
    assert group().status == "new"


def test_buttons_that_a_user_may_not_press_say_why() -> None:
    fail()
    text = page(viewer())
    assert 'disabled title="Your account lacks the permission to work on failure groups."' in text
    assert "Your account lacks the permission to discard failed records." in text


def test_several_groups_are_acknowledged_at_once(operator: Client) -> None:
    fail(kind=1)
    fail(kind=2)
    chosen = [group(1).pk, group(2).pk]
    answer = operator.post(reverse(LIST), {"action": "acknowledge", "_selected_action": chosen}, follow=True)
    assert "2 acknowledged" in answer.content.decode()
    assert set(FailureGroup.objects.values_list("status", flat=True)) == {"known"}


def test_an_act_that_is_none_is_not_found(operator: Client) -> None:
    fail()
    assert act(operator, "explode").status_code == 404
    assert operator.post("/admin/consumers/failuregroup/999999/act/", {"do": "acknowledge"}).status_code == 404


def test_a_record_deleted_on_its_own_page_leaves_the_groups_numbers() -> None:
    fail(2)
    client = viewer("delete_failedrecord", "delete_failurenote", "delete_failedattempt", "delete_failureedit")
    record = records().first()
    answer = client.post(f"/admin/consumers/failedrecord/{record.pk}/delete/", {"post": "yes"})
    assert answer.status_code == 302
    assert group().pending == records().count() == 1


def test_alerts_are_listed_with_their_deliveries() -> None:
    fail(reason="<b>bold</b>")
    taken_up()
    text = html(client_with("view_alert"), reverse("admin:consumers_alert_changelist"))
    assert "New failure: &lt;b&gt;bold" in text
    assert "signal: waiting" in text
    one = html(client_with("view_alert"), reverse("admin:consumers_alert_change", args=[Alert.objects.get().pk]))
    assert f"/admin/consumers/failuregroup/{group().pk}/change/" in one


def test_a_trend_is_told_in_words_too() -> None:
    fail(4)
    assert 'role="img" aria-label="4 in 7 days, at most 4 in 4 hours, 4 lately"' in listed(viewer())


def test_archived_groups_say_until_when(operator: Client) -> None:
    fail(2)
    act(operator, "archive", until="count", number=3)
    assert "5 have failed, 2 have so far" in page(operator)
    act(operator, "reopen")
    act(operator, "archive", until="escalates")
    assert "10 fail within an hour" in page(operator)
    assert "Say how many." in act(operator, "archive", until="days").content.decode()


def test_a_group_is_retried_as_a_whole_where_runs_begin(operator: Client) -> None:
    fail()
    text = page(operator)
    assert f'name="fingerprint" value="{1:016x}"' in text
    assert 'name="consumer" value="inbox-test"' in text
