"""Whatever a topic brings: every record is settled as a row or as a failed record, and nothing stops the consumer."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from ads.consumers import ClickConsumer, ImpressionConsumer
from ads.models import Click, Impression
from consumers.core.policies import BatchPolicy
from consumers.models import FailedRecord, PartitionLedger
from consumers.testing import MemoryLog, run_consumer
from payments.balances import unbalanced
from payments.consumers import PaymentConsumer
from payments.models import Payment
from tests.integration.engine import settings_with
from tests.makers import click, payment

pytestmark = pytest.mark.django_db

HOSTILE = Path(__file__).parent.parent / "data" / "hostile"
CASES = {path.stem: path.read_bytes() for path in sorted((HOSTILE / "JSONTestSuite" / "test_parsing").glob("*.json"))}
NAUGHTY: list[str] = json.loads((HOSTILE / "blns" / "blns.json").read_text(encoding="utf-8"))

HERE = b'"@HERE@"'
"""Stands in an event where raw bytes are to be put."""


def spliced(event: bytes, raw: bytes) -> bytes:
    assert event.count(HERE) == 1
    return event.replace(HERE, raw)


class Settled:
    """What one run over hostile values came to, checked to the record."""

    def __init__(self, consumer: Any, values: Sequence[bytes], rows: Callable[[], int]) -> None:
        log = MemoryLog({consumer.topics[0]: 1})
        for value in values:
            log.append(consumer.topics[0], value)
        before = rows()
        statistics = run_consumer(consumer, log, settings=settings_with(flood_guard=False))
        self.failed = {row.offset: row for row in FailedRecord.objects.filter(topic=consumer.topics[0])}
        self._check_books(statistics.tally, consumer, values, rows() - before)

    def _check_books(self, tally: Any, consumer: Any, values: Sequence[bytes], new_rows: int) -> None:
        line = PartitionLedger.objects.get(group=consumer.name)
        assert line.next_offset == line.received == tally.received == len(values)
        assert tally.written + tally.duplicates + tally.skipped + tally.failed == len(values)
        assert tally.written == line.written == new_rows
        assert tally.failed == line.failed == len(self.failed)
        assert tally.skipped == 0
        for offset, row in self.failed.items():
            assert bytes(row.value) == values[offset]
            assert row.reason in ("undecodable", "invalid") or row.reason.startswith("unknown_"), row.traceback
            assert row.message


def clicks(values: Sequence[bytes]) -> Settled:
    return Settled(ClickConsumer, values, Click.objects.count)


def impression(campaign: Any, **fields: Any) -> bytes:
    event = {"event_id": str(uuid.uuid4()), "campaign_id": campaign.pk, "occurred_at": "2026-03-01T12:00:00Z"}
    return json.dumps(event | {"placement": "top"} | fields).encode()


# ---- the parsing cases ----------------------------------------------------------------------------------------------


def test_the_cases_are_all_there() -> None:
    assert len(CASES) == 318
    assert len(NAUGHTY) > 500


@pytest.mark.parametrize("consumer", [ClickConsumer, ImpressionConsumer, PaymentConsumer], ids=lambda c: c.name)
def test_no_parsing_case_is_an_event(consumer: Any) -> None:
    settled = Settled(consumer, [*CASES.values()], consumer.model.objects.count)
    assert len(settled.failed) == len(CASES)


def test_every_parsing_case_as_the_value_of_a_field_is_settled(campaign: Any) -> None:
    fields = ("user_id", "url", "impression_id", "campaign_id", "occurred_at", "unknown")
    events = {(name, f): spliced(click(campaign, **{f: "@HERE@"}), raw) for name, raw in CASES.items() for f in fields}
    settled = clicks([*events.values()])
    for offset, (name, field) in enumerate(events):
        if name.startswith("n_"):
            assert offset in settled.failed, f"{name} was accepted as {field}"
        if name.startswith("y_") and field == "unknown":
            assert offset not in settled.failed, f"{name} was refused in a field that nobody reads"


def test_every_parsing_case_as_a_field_of_a_payment_is_settled(advertiser: Any) -> None:
    fields = ("reference", "amount", "transaction_id", "currency")
    values = [spliced(payment(advertiser, **{f: "@HERE@"}), raw) for raw in CASES.values() for f in fields]
    Settled(PaymentConsumer, values, Payment.objects.count)
    assert not unbalanced()


# ---- naughty strings ------------------------------------------------------------------------------------------------


def test_no_naughty_string_is_an_event() -> None:
    values = [text.encode("utf-8", "surrogatepass") for text in NAUGHTY]
    assert len(clicks(values).failed) == len(values)


def test_every_naughty_string_in_a_text_of_a_click_comes_back_as_it_was(campaign: Any) -> None:
    texts = [text for text in NAUGHTY if text]
    values = [click(campaign, url=text, user_agent=text, user_id=text) for text in texts]
    settled = clicks(values)
    stored = {str(row.event_id): row for row in Click.objects.all()}
    for offset, (text, value) in enumerate(zip(texts, values, strict=True)):
        if offset not in settled.failed:
            row = stored[json.loads(value)["event_id"]]
            assert row.url == row.user_agent == row.user_id == text
    assert {row.reason for row in settled.failed.values()} <= {"invalid"}
    assert len(settled.failed) < 10


@pytest.mark.parametrize("field", ["event_id", "campaign_id", "occurred_at", "ip", "impression_id"])
def test_every_naughty_string_in_another_field_of_a_click_is_settled(campaign: Any, field: str) -> None:
    clicks([click(campaign, **{field: text}) for text in NAUGHTY])


@pytest.mark.parametrize("field", ["placement", "user_agent", "user_id", "ip", "event_id"])
def test_every_naughty_string_in_a_field_of_an_impression_is_settled(campaign: Any, field: str) -> None:
    values = [impression(campaign, **{field: text}) for text in NAUGHTY]
    Settled(ImpressionConsumer, values, Impression.objects.count)


@pytest.mark.parametrize(
    "field", ["transaction_id", "method", "reference", "kind", "amount", "currency", "occurred_at", "advertiser_id"]
)
def test_every_naughty_string_in_a_field_of_a_payment_is_settled(advertiser: Any, field: str) -> None:
    values = [payment(advertiser, **{field: text}) for text in NAUGHTY]
    Settled(PaymentConsumer, values, Payment.objects.count)
    assert not unbalanced()


# ---- extremes -------------------------------------------------------------------------------------------------------

EXTREMES: dict[str, tuple[str, bytes]] = {
    "a NUL": ("url", b'"a\\u0000b"'),
    "a raw NUL": ("url", b'"a\x00b"'),
    "a lone high surrogate": ("url", b'"\\ud800"'),
    "a lone low surrogate": ("url", b'"\\udc00 x"'),
    "surrogates the wrong way round": ("url", b'"\\udc00\\ud800"'),
    "an encoded surrogate": ("url", b'"\xed\xa0\x80"'),
    "an overlong encoding": ("url", b'"\xc0\xaf"'),
    "a text longer than its column": ("url", b'"' + b"x" * 2_049 + b'"'),
    "NaN": ("campaign_id", b"NaN"),
    "Infinity": ("campaign_id", b"Infinity"),
    "-Infinity": ("campaign_id", b"-Infinity"),
    "an id beyond 64 bits": ("campaign_id", b"18446744073709551616"),
    "an id beyond bigint": ("campaign_id", b"9223372036854775808"),
    "a negative id": ("campaign_id", b"-1"),
    "an id of a million digits": ("campaign_id", b"1" * 1_000_000),
    "an id with an enormous exponent": ("campaign_id", b"1e400"),
    "an id as a float": ("campaign_id", b"1.5"),
    "the year 0": ("occurred_at", b'"0000-01-01T00:00:00Z"'),
    "the year 1": ("occurred_at", b'"0001-01-01T00:00:00Z"'),
    "the year 1 in a zone that makes it the year 0": ("occurred_at", b'"0001-01-01T00:00:00+14:00"'),
    "the year 9999 in a zone that makes it the year 10000": ("occurred_at", b'"9999-12-31T23:59:59-14:00"'),
    "the year 294277": ("occurred_at", b'"294277-01-01T00:00:00Z"'),
    "the 30th of February": ("occurred_at", b'"2026-02-30T00:00:00Z"'),
    "a leap second": ("occurred_at", b'"2016-12-31T23:59:60Z"'),
    "a time without an offset": ("occurred_at", b'"2026-03-01T12:00:00"'),
    "an infinite time": ("occurred_at", b'"infinity"'),
    "a number for a time": ("occurred_at", b"1e308"),
    "an address with a zone": ("ip", b'"fe80::1%eth0"'),
    "a network": ("ip", b'"10.0.0.0/8"'),
    "an address with leading zeros": ("ip", b'"010.000.000.001"'),
    "nesting 100,000 deep": ("url", b"[" * 100_000 + b"]" * 100_000),
    "nesting that never ends": ("unknown", b'{"a":' * 100_000),
    "a field twice": ("campaign_id", b'0, "campaign_id": "x"'),
}
HARMLESS: dict[str, tuple[str, bytes]] = {
    "a noncharacter": ("url", b'"\xef\xbf\xbf"'),
    "the last code point": ("url", b'"\\udbff\\udfff"'),
    "a text as long as its column, of wide characters": ("url", b'"' + "𐍈".encode() * 2_048 + b'"'),
    "nesting 200 deep that nobody reads": ("unknown", b"[" * 200 + b"]" * 200),
    "a nanosecond": ("occurred_at", b'"2026-03-01T12:00:00.123456789Z"'),
    "the first accepted moment": ("occurred_at", b'"1970-01-01T00:00:00Z"'),
    "an address of IPv6 that holds one of IPv4": ("ip", b'"::ffff:1.2.3.4"'),
    "an escaped backslash before u0000": ("url", b'"\\\\u0000"'),
    "an empty text": ("user_id", b'""'),
}


def extreme(campaign: Any, field: str, raw: bytes) -> bytes:
    return spliced(click(campaign, **{field: "@HERE@"}), raw)


def test_extremes_fail_and_their_neighbours_are_written(campaign: Any) -> None:
    values = []
    for field, raw in EXTREMES.values():
        values += [extreme(campaign, field, raw), click(campaign)]
    settled = clicks(values)
    accepted = [name for number, name in enumerate(EXTREMES) if 2 * number not in settled.failed]
    assert accepted == []
    assert len(settled.failed) == len(EXTREMES)


def test_what_only_looks_hostile_is_written(campaign: Any) -> None:
    settled = clicks([extreme(campaign, field, raw) for field, raw in HARMLESS.values()])
    assert [(list(HARMLESS)[offset], row.message) for offset, row in settled.failed.items()] == []


def test_payloads_of_20_mb_are_settled_and_their_neighbours_written(campaign: Any) -> None:
    class Click20(ClickConsumer):
        batch = BatchPolicy(max_wait=0)

    size = 20 * 1024 * 1024
    values = [
        click(campaign),
        b"x" * size,
        click(campaign, url="x" * size),
        click(campaign, unknown="x" * size),
        b"[" * size,
        click(campaign),
    ]
    settled = Settled(Click20, values, Click.objects.count)
    assert set(settled.failed) == {1, 2, 4}


def test_payments_at_the_edges_of_their_column_are_settled_and_add_up(advertiser: Any) -> None:
    amounts = {
        "99999999999999.9999": True,
        "0.0001": True,
        "100000000000000": False,
        "0.00001": False,
        "0": False,
        "0.0000": False,
        "-1": False,
        "1e3": False,
        "NaN": False,
        "Infinity": False,
        "١٢": False,
        " 1": False,
        "1\n": False,
        "": False,
        "1" * 1_000_000: False,
    }
    settled = Settled(
        PaymentConsumer, [payment(advertiser, amount=amount) for amount in amounts], Payment.objects.count
    )
    assert [offset not in settled.failed for offset in range(len(amounts))] == [*amounts.values()]
    assert not unbalanced()


# ---- and how it is shown --------------------------------------------------------------------------------------------


def test_every_kind_of_failed_record_has_a_page(campaign: Any) -> None:
    extremes = [extreme(campaign, field, raw) for field, raw in EXTREMES.values()]
    huge = b"[" * 20 * 1024 * 1024
    clicks([*CASES.values(), *extremes, huge, *(text.encode("utf-8", "surrogatepass") for text in NAUGHTY[::10])])
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    for row in FailedRecord.objects.all():
        response = client.get(reverse("admin:consumers_failedrecord_change", args=[row.pk]))
        assert response.status_code == 200, row
    assert client.get(reverse("admin:consumers_failedrecord_changelist")).status_code == 200
