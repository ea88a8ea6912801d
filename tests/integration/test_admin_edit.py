"""Edit and retry: checked by the event, shown as a diff, tried out, stored beside the original, and then processed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import pytest
from django.contrib.admin.models import LogEntry
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from consumers.api import BatchConsumer, reject
from consumers.models import FailedAttempt, FailedRecord, FailureEdit, FailureNote
from consumers.reprocess import Selection, reprocess
from tests.integration.admin_records import failed, html, page_of, viewer
from tests.orders import Order

pytestmark = pytest.mark.django_db


class Badge(msgspec.Struct):
    number: str


class Person(msgspec.Struct, rename={"login": "userName", "number": "key"}):
    number: str
    login: str
    age: Annotated[int, msgspec.Meta(ge=0)] = 0
    token: str = ""
    badges: list[Badge] = []

    def __post_init__(self) -> None:
        if self.login == "root":
            raise ValueError("`login` is taken")


class People(BatchConsumer[Person, Order]):
    """Makes orders of people, of all things: there is a table for those."""

    name = "admin-test"
    topics = ("orders",)
    event = Person
    model = Order
    unique = ("number",)
    redact = ("token",)

    def process(self, event: Person, context: Any) -> Order:
        if event.login == "nobody":
            return reject("no_such_user", login=event.login)
        return Order(number=event.number, note=event.login)


@pytest.fixture(autouse=True)
def consumer(registered: Callable[[type], type]) -> None:
    registered(People)


VALUE = b'{"key": "k1", "userName": "ada", "age": "seven", "token": "hush-hush", "extra": 1.50}'


def person(value: bytes = VALUE, **more: Any) -> FailedRecord:
    return failed(value=value, message="Expected `int`, got `str` - at `$.age`", **more)


@pytest.fixture
def editor() -> Client:
    return viewer("edit_failedrecord")


def edit_of(record: FailedRecord) -> str:
    return reverse("admin:consumers_failedrecord_edit", args=[record.pk])


def inputs(page: HttpResponse) -> dict[str, str]:
    """What a browser would send back, by the names of the inputs."""
    form = page.context["form"]  # type: ignore[attr-defined]
    return {bound.html_name: bound.value() or "" for bound in form}


def names(page: HttpResponse) -> dict[str, str]:
    """The inputs' names by the fields'."""
    rows = page.context["form"].rows  # type: ignore[attr-defined]
    return {field.name: bound.html_name for field, _, bound in rows if bound is not None}


def change(client: Client, record: FailedRecord, **values: str) -> HttpResponse:
    """Type values for some fields and have them checked."""
    page = client.get(edit_of(record))
    assert page.status_code == 200
    by_field = names(page)  # type: ignore[arg-type]
    typed = inputs(page) | {by_field.get(name, name): value for name, value in values.items()}  # type: ignore[arg-type]
    return client.post(edit_of(record), {"reason": "a typo"} | typed | {"reason": "a typo"})  # type: ignore[return-value]


def confirm(client: Client, record: FailedRecord, preview: HttpResponse, **more: str) -> HttpResponse:
    confirmed = preview.context["confirmed"]  # type: ignore[attr-defined]
    data = inputs(preview) | {"confirmed": confirmed} | more
    return client.post(edit_of(record), data, follow=True)  # type: ignore[return-value]


def people() -> set[str]:
    return set(Order.objects.values_list("note", flat=True))


def test_an_edit_is_shown_as_a_diff_with_what_would_happen_and_changes_nothing_yet(editor: Client) -> None:
    record = person()
    preview = change(editor, record, age="7")
    text = preview.content.decode()
    assert "<del>-  &quot;age&quot;: &quot;seven&quot;,</del>" in text
    assert "<ins>+  &quot;age&quot;: 7,</ins>" in text
    assert "It would be written" in text
    assert people() == set()
    assert not FailureEdit.objects.exists()
    assert not FailedAttempt.objects.exists()
    assert not FailureNote.objects.exists()


def test_a_confirmed_edit_is_stored_beside_the_original_and_the_record_is_resolved_with_it(editor: Client) -> None:
    record = person()
    result = confirm(editor, record, change(editor, record, age="7", userName='"grace"'))
    assert "the record is resolved with it" in result.content.decode()
    assert people() == {"grace"}
    record.refresh_from_db()
    assert (record.status, bytes(record.value or b"")) == ("resolved", VALUE)
    edit = FailureEdit.objects.get()
    assert bytes(edit.value) == b'{"key": "k1", "userName": "grace", "age": 7, "token": "hush-hush", "extra": 1.50}'
    assert (edit.reason, edit.by[:6]) == ("a typo", "staff-")
    assert LogEntry.objects.get().change_message == "Edited: a typo"
    assert FailureNote.objects.get().kind == "edit"
    page = html(editor, page_of(record))
    assert "&quot;age&quot;: &quot;seven&quot;" in page
    assert "<ins>+  &quot;age&quot;: 7,</ins>" in page


def test_what_the_event_refuses_is_said_at_the_field(editor: Client) -> None:
    record = person()
    for field, value, said in (
        ("age", "-1", "Expected `int` &gt;= 0"),
        ("age", "", ""),
        ("age", "seven", "a text needs double quotes"),
        ("userName", '"root"', "`login` is taken"),
        ("badges", '[{"number": 1}]', "Expected `str`, got `int` - at `$.badges[0].number`"),
    ):
        answer = change(editor, record, **{"age": "7"} | {field: value})
        if said:
            assert said in answer.content.decode()
            assert list(answer.context["form"].errors) == [names(answer)[field]]  # type: ignore[attr-defined]
        else:
            assert "confirmed" in answer.context  # type: ignore[operator]
    assert not FailureEdit.objects.exists()


def test_a_missing_field_can_be_added_and_another_left_out(editor: Client) -> None:
    record = person(b'{"key": "k1", "extra": [1, 2]}')
    page = change(editor, record)
    assert "it is missing" in page.content.decode()
    confirm(editor, record, change(editor, record, userName='"ada"', extra=""))
    assert bytes(FailureEdit.objects.get().value) == b'{"key": "k1", "userName": "ada"}'


def test_what_tells_the_record_from_others_is_locked_unless_it_is_what_is_wrong(editor: Client) -> None:
    record = person()
    page = editor.get(edit_of(record))
    assert "key" not in names(page)  # type: ignore[arg-type]
    at = next(at for at, field in enumerate(page.context["form"].edit_fields) if field.name == "key")
    confirm(editor, record, change(editor, record, age="7", **{f"field{at}": '"k2"'}))
    assert b'"key": "k1"' in bytes(FailureEdit.objects.get().value)
    bad = person(b'{"key": 5, "userName": "ada"}')
    assert "key" in names(editor.get(edit_of(bad)))  # type: ignore[arg-type]


def test_what_is_redacted_is_kept_and_never_shown_to_who_may_not_see_it(editor: Client) -> None:
    record = person()
    page = editor.get(edit_of(record))
    assert "token" not in names(page)  # type: ignore[arg-type]
    preview = change(editor, record, age="7")
    result = confirm(editor, record, preview)
    for answer in (page, preview, result):
        assert "hush-hush" not in answer.content.decode()
    assert b"hush-hush" in bytes(FailureEdit.objects.get().value)
    assert "hush" not in FailureEdit.objects.get().diff


def test_an_error_of_the_consumers_own_does_not_tell_what_is_redacted(
    editor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prefetch(self: People, events: list[Person]) -> None:
        raise LookupError(f"no account for {events[0].token}")

    record = person()
    monkeypatch.setattr(People, "prefetch", prefetch)
    preview = change(editor, record, age="7")
    for answer in (preview, confirm(editor, record, preview)):
        text = answer.content.decode()
        assert "no account for [redacted]" in text
        assert "hush-hush" not in text


def test_who_may_see_it_can_replace_it_without_its_being_shown() -> None:
    client = viewer("edit_failedrecord", "view_sensitive_failedrecord")
    record = person(b'{"key": "k1", "userName": "ada", "token": 5}')
    preview = change(client, record, token='"secret-word"')
    text = preview.content.decode()
    assert "another value" in text
    assert "<ins>" in text
    confirm(client, record, preview)
    assert b'"token": "secret-word"' in bytes(FailureEdit.objects.get().value)
    assert "secret-word" not in FailureEdit.objects.get().diff
    assert "secret-word" not in html(client, page_of(record))


def test_a_value_without_fields_of_its_own_is_edited_as_a_whole() -> None:
    client = viewer("edit_failedrecord", "view_sensitive_failedrecord")
    record = person(b'{"key": "k1", "userName": "ada", "token": "hush-hush"')
    assert "hush-hush" not in client.get(edit_of(record)).content.decode()
    answer = change(client, record, whole="[1]")
    assert "Expected `object`, got `array`" in answer.content.decode()
    confirm(client, record, change(client, record, whole='{"key": "k1", "userName": "ada"}'))
    assert people() == {"ada"}


@pytest.mark.parametrize("value", [b'{"a": 1', b"\xff\xfe", b'{"key": "k", "key": "l"}', b"[]"])
def test_what_cannot_be_masked_is_edited_only_by_who_may_see_it(editor: Client, value: bytes) -> None:
    record = person(value)
    answer = editor.get(edit_of(record), follow=True)
    assert "Nothing was changed" in answer.content.decode()


def test_an_edit_that_fails_again_stays_in_force_for_later_attempts_and_can_be_withdrawn(editor: Client) -> None:
    record = person()
    preview = change(editor, record, age="7", userName='"nobody"')
    assert "It would fail again: no_such_user" in preview.content.decode()
    assert "failed again: no_such_user" in confirm(editor, record, preview).content.decode()
    assert reprocess(Selection(), by="bob").by_reason == {"no_such_user": 1}
    page = html(editor, page_of(record))
    assert "in force: every attempt processes it" in page
    assert "this is that edit" in editor.get(edit_of(record)).content.decode()
    withdraw = reverse("admin:consumers_failedrecord_withdraw", args=[record.pk])
    assert viewer().post(withdraw).status_code == 403
    assert editor.get(withdraw).status_code == 405
    assert "The edit is withdrawn" in editor.post(withdraw, follow=True).content.decode()
    assert "There is no edit" in editor.post(withdraw, follow=True).content.decode()
    assert reprocess(Selection(), by="bob").by_reason == {"invalid": 1}
    record.refresh_from_db()
    assert bytes(record.value or b"") == VALUE
    assert [each.by for each in FailedAttempt.objects.order_by("pk")][1:] == ["bob", "bob"]


def test_an_edit_outlives_an_error_of_the_consumers_own_and_the_user_is_told(
    editor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = person()
    preview = change(editor, record, age="7")

    def broken(self: People, events: Any) -> None:
        raise ZeroDivisionError("no such table of prices")

    monkeypatch.setattr(People, "prefetch", broken)
    assert "It could not be tried" in change(editor, record, age="7").content.decode()
    answer = confirm(editor, record, preview)
    assert "the consumer raised ZeroDivisionError: no such table of prices" in answer.content.decode()
    assert FailureEdit.objects.count() == 1
    record.refresh_from_db()
    assert record.status == "pending"


def test_an_edit_that_changes_nothing_is_refused(editor: Client) -> None:
    record = person(b'{"key":"k1","userName":"nobody"}')
    assert "Nothing was changed" in change(editor, record).content.decode()


def test_an_edit_needs_a_reason(editor: Client) -> None:
    record = person()
    page = editor.get(edit_of(record))
    answer = editor.post(edit_of(record), inputs(page) | {"reason": " "})  # type: ignore[arg-type]
    assert "reason" in answer.context["form"].errors


def test_only_what_was_shown_is_stored(editor: Client) -> None:
    record = person()
    preview = change(editor, record, age="7")
    again = confirm(editor, record, preview, **{names(preview)["age"]: "8"})
    assert "What changes" in again.content.decode()
    assert not FailureEdit.objects.exists()


def test_an_edit_that_somebody_else_made_meanwhile_is_not_overwritten(editor: Client) -> None:
    record = person()
    preview = change(editor, record, age="7", userName='"nobody"')
    confirm(editor, record, change(editor, record, age="8", userName='"nobody"'))
    confirm(editor, record, preview)
    assert [b'"age": 8' in bytes(edit.value) for edit in FailureEdit.objects.all()] == [True]


def test_a_record_that_was_settled_meanwhile_is_not_edited(editor: Client) -> None:
    record = person()
    preview = change(editor, record, age="7")
    FailedRecord.objects.update(status="discarded")
    answer = confirm(editor, record, preview)
    assert "only pending records are edited" in answer.content.decode()
    assert not FailureEdit.objects.exists()


def test_who_lacks_the_permission_sees_the_button_disabled_with_the_reason_and_is_refused() -> None:
    record = person()
    client = viewer("reprocess_failedrecord", "discard_failedrecord", "view_sensitive_failedrecord")
    page = html(client, page_of(record))
    assert re.search(r"<button[^>]* disabled[^>]*>Edit and retry", page)
    assert "lacks the permission to edit" in page
    assert client.get(edit_of(record)).status_code == 403
    assert client.post(edit_of(record), {"whole": "{}"}).status_code == 403


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"reason": "too_large"}, "only the head of its value was kept"),
        ({"consumer": "gone"}, "its consumer is not registered"),
        ({"status": "resolved"}, "only pending records are edited"),
        ({"value": b'"' + b"x" * 300_000 + b'"'}, "more than the 262,144"),
    ],
)
def test_what_cannot_be_edited_says_why(fields: dict[str, Any], said: str) -> None:
    client = viewer("edit_failedrecord", "view_sensitive_failedrecord")
    answer = client.get(edit_of(failed(**fields)), follow=True)
    assert said in answer.content.decode()


def test_hostile_values_are_harmless_in_the_form_and_survive_it_unchanged(editor: Client) -> None:
    hostile = '</textarea><script>alert(1)</script>\u202e\u200b\U000e0001"'
    value = msgspec.json.encode({"key": "k", "userName": hostile, "age": "x", hostile: 1})
    record = person(value)
    page = editor.get(edit_of(record)).content.decode()
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)
    confirm(editor, record, change(editor, record, age="1"))
    assert msgspec.json.decode(bytes(FailureEdit.objects.get().value)) == {
        "key": "k",
        "userName": hostile,
        "age": 1,
        hostile: 1,
    }
    assert "<script>alert" not in html(editor, page_of(record))
