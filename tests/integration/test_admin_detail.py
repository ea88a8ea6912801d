"""A failed record's page: readable, and harmless whatever the record holds."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import msgspec
import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from consumers import registry
from consumers.api import BatchConsumer, register
from consumers.headers import pack_headers
from consumers.models import FailedAttempt, FailedRecord, FailureNote
from tests.integration.admin_records import client_with, failed, html, page_of, viewer

pytestmark = pytest.mark.django_db


class Visit(msgspec.Struct, rename={"address": "ip"}):
    address: str
    page: str


@pytest.fixture
def plain_consumer() -> Iterator[None]:
    @register("admin-test")
    class Plain(BatchConsumer[Visit, FailedRecord]):
        event = Visit

    yield
    registry.unregister("admin-test")


@pytest.fixture
def redacting_consumer() -> Iterator[None]:
    @register("admin-redacting")
    class Redacting(BatchConsumer[Visit, FailedRecord]):
        event = Visit
        redact = ("address",)

    yield
    registry.unregister("admin-redacting")


@pytest.mark.usefixtures("plain_consumer")
def test_a_json_payload_is_laid_out_with_its_numbers_as_they_were_sent() -> None:
    page = html(viewer(), page_of(failed(value=b'{"amount":1.10,"tags":["a"],"big":123456789012345678901234567890}')))
    assert "&quot;amount&quot;: 1.10,\n" in page
    assert "123456789012345678901234567890" in page
    assert "00000000: 7b22 616d" in page


@pytest.mark.usefixtures("plain_consumer")
def test_bytes_that_are_no_text_are_dumped() -> None:
    page = html(viewer(), page_of(failed(value=b"\xff\xfe\x00hello", key=b"\x00\xff")))
    assert "00000000: fffe 0068 656c 6c6f                      ...hello" in page
    assert "00000000: 00ff" in page


def test_who_may_not_see_failed_records_is_not_told_which_there_are() -> None:
    record = failed()
    client = client_with("edit_failedrecord", "view_sensitive_failedrecord")
    answers = {client.post(reveal_of(record, pk)).status_code for pk in (record.pk, record.pk + 1)}
    assert answers == {403}
    assert viewer("view_sensitive_failedrecord").post(reveal_of(record, record.pk + 1)).status_code == 404


@pytest.mark.usefixtures("plain_consumer")
def test_no_value_and_an_empty_one_are_told_apart() -> None:
    assert "null (no value)" in html(viewer(), page_of(failed(value=None, key=b"k")))
    assert "empty (0 bytes)" in html(viewer(), page_of(failed(value=b"", key=b"k")))


@pytest.mark.usefixtures("plain_consumer")
def test_headers_traceback_and_message_are_shown() -> None:
    record = failed(
        headers=pack_headers((("trace-id", b"abc"), ("empty", None), ("bin", b"\xff"))),
        traceback="Traceback (most recent call last):\n  File x",
        exception="builtins.ValueError",
        message="no such thing",
    )
    page = html(viewer(), page_of(record))
    for text in (
        "trace-id",
        "abc",
        "null (no value)",
        "00000000: ff",
        "Traceback (most recent",
        "ValueError",
        "no such",
    ):
        assert text in page


@pytest.mark.usefixtures("plain_consumer")
def test_unreadable_headers_do_not_break_the_page() -> None:
    assert "can&#x27;t be read as headers" in html(viewer(), page_of(failed(headers=b"\xff not json")))


def reveal_of(record: FailedRecord, pk: int | None = None) -> str:
    return reverse("admin:consumers_failedrecord_reveal", args=[record.pk if pk is None else pk])


HOSTILE = "<script>alert(1)</script>'\"><img src=x onerror=alert(2)>{{ 7|add:7 }}\x1b[31m\u202egnp.exe\u200b\x9b\u2028"


@pytest.mark.usefixtures("plain_consumer")
def test_hostile_text_is_escaped_and_its_invisible_characters_are_written_out() -> None:
    record = failed(
        value=HOSTILE.encode(),
        key=HOSTILE.encode(),
        headers=pack_headers(((HOSTILE, HOSTILE.encode()),)),
        traceback=HOSTILE,
        message=HOSTILE,
        exception=HOSTILE,
        note=HOSTILE,
    )
    page = html(viewer(), page_of(record))
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "{{ 7|add:7 }}" in page
    assert r"\u001b[31m\u202egnp.exe\u200b\u009b\u2028" in page
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", page)


@pytest.mark.usefixtures("plain_consumer")
def test_pages_hold_nothing_that_a_content_security_policy_of_self_would_block() -> None:
    page = html(viewer("reprocess_failedrecord"), page_of(failed(value=b"{}", traceback="x")))
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)


@pytest.mark.usefixtures("plain_consumer")
@pytest.mark.parametrize(
    "value",
    [
        b'"\\ud800"',
        b'{"\\ud800": "\\udfff"}',
        b"[" * 200_000,
        b"[" * 900 + b"]" * 900,
        b"9" * 5000,
        b'{"a": NaN, "a": -Infinity}',
        "\ufeff{}".encode(),
        '{"a": 1}'.encode("utf-16"),
        b"\x00" * 100,
        "é".encode() * 40_000,
        b"x" + "é".encode() * 40_000,
        random.Random(70).randbytes(70_000),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_no_payload_breaks_the_page(value: bytes) -> None:
    assert f"{len(value):,} bytes" in html(viewer(), page_of(failed(value=value, key=value[:2000], traceback="x")))


@pytest.mark.usefixtures("plain_consumer")
def test_of_a_payload_of_20_mb_the_beginning_is_shown_with_its_true_size() -> None:
    record = failed(value=b"a" * 20_000_000)
    page = html(viewer(), page_of(record))
    assert "text, 20,000,000 bytes; the first 65,536 bytes are shown" in page
    assert len(page) < 600_000


@pytest.mark.usefixtures("plain_consumer")
def test_the_page_takes_a_bounded_number_of_queries_and_never_the_whole_payload() -> None:
    record = failed(value=b"a" * 5_000_000)
    client = viewer()
    with CaptureQueriesContext(connection) as queries:
        client.get(page_of(record))
    assert len(queries) <= 11
    assert not any(re.search(r'(?<!\()"consumers_failedrecord"."value"', query["sql"]) for query in queries)


@pytest.mark.usefixtures("plain_consumer")
def test_the_neighbours_in_the_partition_are_linked() -> None:
    before, record, after = (failed(offset=offset) for offset in (10, 20, 30))
    failed(offset=19, partition=1)
    page = html(viewer(), page_of(record))
    assert f'href="{page_of(before)}"' in page
    assert f'href="{page_of(after)}"' in page


@pytest.mark.usefixtures("plain_consumer")
@pytest.mark.parametrize(
    ("message", "marked", "said"),
    [
        ("Expected `str`, got `int` - at `$.page`", "&quot;page&quot;: 5", "The error is about page."),
        ("`address` is no address", "&quot;ip&quot;: &quot;x&quot;", "The error is about ip."),
        ("bad_page: page=5", "&quot;page&quot;: 5", "The error is about page."),
        ("Expected `str` - at `$.tags[1].x`", "&quot;x&quot;: 1", "The error is about tags[1].x."),
    ],
)
def test_what_the_error_is_about_is_marked_in_the_value(message: str, marked: str, said: str) -> None:
    value = b'{"ip": "x", "page": 5, "tags": [{"x": 0}, {"x": 1}]}'
    page = html(viewer(), page_of(failed(value=value, message=message)))
    assert f'<mark class="mending-mark">{marked}</mark>' in page
    assert said in page


@pytest.mark.usefixtures("plain_consumer")
def test_a_field_that_is_missing_is_named() -> None:
    page = html(viewer(), page_of(failed(value=b'{"ip": "x"}', message="Object missing required field `page`")))
    assert "Missing: page." in page
    assert "<mark" not in page


@pytest.mark.usefixtures("plain_consumer")
def test_lines_of_the_sites_own_code_are_told_apart_in_a_traceback() -> None:
    own = '  File "/srv/shop/consumers.py", line 7, in process\n    price = 1 / 0'
    foreign = '  File "/usr/lib/python3/site-packages/lib.py", line 9, in call\n    return f()'
    page = html(viewer(), page_of(failed(traceback=f"Traceback (most recent call last):\n{foreign}\n{own}\nError: x")))
    assert '<strong class="mending-own">    price = 1 / 0</strong>' in page
    assert "    return f()\n" in page


@pytest.mark.usefixtures("plain_consumer")
def test_attempts_are_listed_with_who_made_them_and_what_they_came_to() -> None:
    record = failed(attempts=4, message="x")
    now = timezone.now()
    for kind, by, reason in (("received", "clicks", "invalid"), ("retried", "ada", "conflict")):
        FailedAttempt.objects.create(record=record, at=now, kind=kind, by=by, reason=reason, message=HOSTILE)
    FailedAttempt.objects.create(record=record, at=now, kind="retried", by="bob", succeeded=True)
    page = html(viewer(), page_of(record))
    for text in (
        "<td>ada</td>",
        "failed: <strong>conflict</strong>",
        "<td>clicks</td>",
        "succeeded",
        "1 earlier: before",
    ):
        assert text in page
    assert "<script>alert" not in page


def test_a_record_that_does_not_exist_leads_back_to_the_index() -> None:
    record = failed()
    FailedRecord.objects.all().delete()
    assert viewer().get(page_of(record)).status_code == 302


SECRET = b'{"ip": "203.0.113.9", "page": "/start", "inner": [{"ip": "198.51.100.7"}]}'


@pytest.mark.usefixtures("redacting_consumer")
def test_redacted_fields_are_masked_wherever_they_occur_and_no_bytes_are_shown() -> None:
    record = failed(
        consumer="admin-redacting",
        value=SECRET,
        key=b"203.0.113.9",
        headers=pack_headers((("client", b"203.0.113.9"),)),
        message="bad address 203.0.113.9",
        traceback="ValueError: 198.51.100.7",
    )
    page = html(viewer(), page_of(record))
    assert "203.0.113.9" not in page
    assert "198.51.100.7" not in page
    assert "00000000:" not in page
    assert "/start" in page
    assert "bad address [redacted]" in page


@pytest.mark.usefixtures("redacting_consumer")
def test_what_is_redacted_is_shown_to_who_may_see_it_and_asks_for_it_and_that_is_recorded() -> None:
    record = failed(consumer="admin-redacting", value=SECRET, key=b"203.0.113.9")
    client = viewer("view_sensitive_failedrecord")
    assert "203.0.113.9" not in html(client, page_of(record))
    page = client.post(reveal_of(record))
    assert "no-store" in page["Cache-Control"]
    assert "&quot;ip&quot;: &quot;203.0.113.9&quot;" in page.content.decode()
    assert "00000000: 7b22 6970" in page.content.decode()
    assert LogEntry.objects.get().change_message == "Revealed what the consumer redacts"
    note = FailureNote.objects.get()
    assert (note.record_id, note.kind, note.by[:6]) == (record.pk, "reveal", "staff-")
    assert "revealed" in html(client, page_of(record))


@pytest.mark.usefixtures("redacting_consumer")
def test_nobody_else_is_shown_what_is_redacted_and_looking_takes_a_post() -> None:
    record = failed(consumer="admin-redacting", value=SECRET)
    assert "lacks the permission to view what consumers redact" in html(viewer(), page_of(record))
    assert viewer().post(reveal_of(record)).status_code == 403
    assert client_with("view_sensitive_failedrecord").post(reveal_of(record)).status_code == 403
    assert viewer("view_sensitive_failedrecord").get(reveal_of(record)).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = viewer("view_sensitive_failedrecord").cookies
    assert strict.post(reveal_of(record)).status_code == 403
    assert viewer("view_sensitive_failedrecord").post(reveal_of(record, pk=0)).status_code == 404
    assert not FailureNote.objects.exists()
    assert not LogEntry.objects.exists()


@pytest.mark.usefixtures("redacting_consumer")
@pytest.mark.parametrize(
    "value",
    [b'{"ip": "203.0.113.9"', b'"203.0.113.9"', b'["203.0.113.9"]', b"\xff203.0.113.9", SECRET + b" " * 2_000_000],
)
def test_what_cannot_be_masked_is_withheld(value: bytes) -> None:
    record = failed(
        consumer="admin-redacting", value=value, key=b"203.0.113.9", headers=pack_headers((("a", b"203.0.113.9"),))
    )
    page = html(viewer(), page_of(record))
    assert "203.0.113.9" not in page
    assert "the fields to mask (address, ip) can&#x27;t be told apart" in page


def test_the_payload_of_a_consumer_that_is_gone_is_withheld_from_those_who_may_not_view_sensitive_fields() -> None:
    record = failed(consumer="gone", value=SECRET, key=b"203.0.113.9")
    page = html(viewer(), page_of(record))
    assert "203.0.113.9" not in page
    assert "not registered any more" in page
    revealed = viewer("view_sensitive_failedrecord").post(reveal_of(record))
    assert "203.0.113.9" in revealed.content.decode()


@pytest.mark.usefixtures("plain_consumer")
def test_looking_changes_nothing(admin_client: Client) -> None:
    record = failed()
    before = FailedRecord.objects.values().get(pk=record.pk)
    html(admin_client, page_of(record))
    admin_client.get(page_of(record), {"action": "discard", "confirm": "yes", "_selected_action": record.pk})
    assert FailedRecord.objects.values().get(pk=record.pk) == before
