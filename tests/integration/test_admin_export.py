"""Exports: streamed, redacted, harmless in a spreadsheet, permitted and logged."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from django.contrib.admin.models import LogEntry
from django.http import StreamingHttpResponse
from django.test import Client
from django.urls import reverse

from consumers.admin.exporting import rows
from consumers.admin.exporting.formats import cell
from consumers.api import BatchConsumer
from consumers.headers import pack_headers
from consumers.models import FailedRecord
from tests.integration.admin_records import LIST, failed, html, viewer

pytestmark = pytest.mark.django_db


class Visit(msgspec.Struct, rename={"address": "ip"}):
    address: str


class Plain(BatchConsumer[Visit, FailedRecord]):
    name = "admin-test"
    event = Visit


class Redacting(Plain):
    name = "admin-redacting"
    redact = ("address",)


@pytest.fixture(autouse=True)
def consumers(registered: Callable[[type], type]) -> None:
    registered(Plain)
    registered(Redacting)


@pytest.fixture
def exporter() -> Client:
    return viewer("export_failedrecord")


def exported(client: Client, kind: str, *records: FailedRecord, query: str = "") -> str:
    chosen = {"_selected_action": [record.pk for record in records] or [0], "select_across": int(not records)}
    answer = client.post(reverse(LIST) + query, {"action": f"export_{kind}"} | chosen)
    assert isinstance(answer, StreamingHttpResponse)
    assert "attachment" in answer["Content-Disposition"]
    return b"".join(answer.streaming_content).decode()  # type: ignore[arg-type]


def as_json(client: Client, *records: FailedRecord, query: str = "") -> list[dict[str, Any]]:
    return [json.loads(line) for line in exported(client, "ndjson", *records, query=query).splitlines()]


def as_csv(client: Client, *records: FailedRecord) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(exported(client, "csv", *records), newline="")))


def test_the_chosen_records_are_exported_with_all_that_is_known_of_them(exporter: Client) -> None:
    record = failed(
        value=b'{"ip": "x", "n": 1.10}',
        key=b"\xff\x00",
        headers=pack_headers((("trace", b"abc"), ("none", None))),
        message="no",
    )
    failed(reason="other")
    (row,) = as_json(exporter, record)
    assert list(row) == list(rows.COLUMNS)
    assert (row["id"], row["reason"], row["message"]) == (record.pk, "invalid", "no")
    assert (row["value"], row["value_encoding"], row["value_bytes"]) == ('{"ip": "x", "n": 1.10}', "text", 22)
    assert (row["key"], row["key_encoding"]) == ("/wA=", "base64")
    assert row["headers"] == [
        {"name": "trace", "value": "abc", "encoding": "text"},
        {"name": "none", "value": None, "encoding": "null"},
    ]
    assert as_csv(exporter, record)[0]["value"] == '{"ip": "x", "n": 1.10}'


def test_everything_that_the_filter_shows_is_exported_in_pages(
    exporter: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "PAGE", 2)
    wanted = [failed(reason="conflict").pk for _ in range(5)]
    failed(reason="invalid")
    assert [row["id"] for row in as_json(exporter, query="?reason=conflict")] == wanted


def test_an_export_is_logged_with_what_it_was_of(exporter: Client) -> None:
    record = failed(reason="conflict")
    exported(exporter, "csv", query="?reason=conflict")
    exported(exporter, "ndjson", record)
    assert [entry.change_message for entry in LogEntry.objects.order_by("pk")] == [
        f"Exported as csv: all that match reason=conflict, up to id {record.pk}",
        "Exported as ndjson: 1 record",
    ]


def test_exporting_takes_the_permission() -> None:
    record = failed()
    client = viewer("view_sensitive_failedrecord", "reprocess_failedrecord")
    assert "export_csv" not in html(client, reverse(LIST))
    answer = client.post(reverse(LIST), {"action": "export_csv", "_selected_action": [record.pk]})
    assert not isinstance(answer, StreamingHttpResponse)
    assert not LogEntry.objects.exists()


def test_what_is_redacted_is_masked_even_for_who_may_see_it() -> None:
    client = viewer("export_failedrecord", "view_sensitive_failedrecord")
    record = failed(
        consumer="admin-redacting",
        value=b'{"ip": "203.0.113.9", "in": [{"ip": "198.51.100.7"}], "n": 1.0}',
        key=b"203.0.113.9",
        headers=pack_headers((("client", b"203.0.113.9"), ("bytes", b"\xff"))),
        message="bad address 203.0.113.9",
        traceback="ValueError: '198.51.100.7'",
    )
    for text in (exported(client, "ndjson", record), exported(client, "csv", record)):
        assert "203.0.113.9" not in text
        assert "198.51.100.7" not in text
    (row,) = as_json(client, record)
    assert row["value"] == '{"ip": "[redacted]","in": [{"ip": "[redacted]"}],"n": 1.0}'
    assert row["message"] == "bad address [redacted]"
    assert row["headers"][1]["encoding"] == "withheld"


@pytest.mark.parametrize("fields", [{"value": b'{"ip": "203.0.113.9"'}, {"consumer": "gone"}])
def test_what_cannot_be_masked_is_withheld(exporter: Client, fields: dict[str, Any]) -> None:
    given = {"consumer": "admin-redacting", "value": b'{"ip": "203.0.113.9"}', "key": b"203.0.113.9"} | fields
    (row,) = as_json(exporter, failed(**given))
    assert (row["value"], row["value_encoding"], row["key"], row["key_encoding"]) == (
        None,
        "withheld",
        None,
        "withheld",
    )


def test_a_value_that_is_too_large_is_left_out_and_its_size_is_told(exporter: Client) -> None:
    (row,) = as_json(exporter, failed(value=b"a" * 2_000_000))
    assert (row["value"], row["value_encoding"], row["value_bytes"]) == (None, "too_large", 2_000_000)


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "\t=1", "\n=1", "\uff1d1", "%x", "|cmd"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_begins_as_a_formula_does(text: str) -> None:
    assert cell(text) == f"'{text}"


def test_a_spreadsheet_reads_hostile_records_as_text(exporter: Client) -> None:
    hostile = '=HYPERLINK("http://evil")\r\n"quoted", \u202e\x1b[31m'
    record = failed(value=hostile.encode(), key=hostile.encode(), message=hostile, note=hostile, reason=hostile[:12])
    (row,) = as_csv(exporter, record)
    for name in ("value", "key", "message", "note", "reason"):
        assert row[name].startswith("'=")
    assert "\u202e" not in row["value"]
    assert "\x1b" not in row["value"]
    assert row["offset"] == str(record.offset)
    assert exported(exporter, "ndjson", record).isascii()


def test_any_bytes_make_a_line_of_valid_json(exporter: Client) -> None:
    values = (b"\xff", b"", None, b'"\\ud800"', b'{"a": NaN}', "é\u2028".encode(), b"[" * 100_000)
    found = as_json(exporter, *(failed(value=value) for value in values))
    assert [row["value_encoding"] for row in found] == ["base64", "text", "null", "text", "text", "text", "text"]
