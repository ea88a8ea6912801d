"""What the advertising topics' decoder accepts and refuses."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from ads import limits
from ads.events import ClickEvent, ImpressionEvent
from ads.models import Click, Impression

CLICK: dict[str, Any] = {
    "event_id": "550e8400-e29b-41d4-a716-446655440000",
    "campaign_id": 7,
    "occurred_at": "2026-01-02T03:04:05.678901+02:00",
    "ip": "203.0.113.9",
    "user_agent": "",
    "url": "https://shop.example/",
}
IMPRESSION: dict[str, Any] = {
    "event_id": "550e8400-e29b-41d4-a716-446655440000",
    "campaign_id": 7,
    "occurred_at": "2026-01-02T03:04:05Z",
    "placement": "top",
}
MISSING = object()


def decode(kind: type[Any], event: dict[str, Any], **changes: Any) -> Any:
    merged = {name: value for name, value in (event | changes).items() if value is not MISSING}
    return msgspec.json.decode(json.dumps(merged).encode(), type=kind)


def test_a_click_is_decoded_into_the_types_of_its_columns() -> None:
    click = decode(ClickEvent, CLICK, impression_id="550E8400E29B41D4A716446655440001", user_id="u")

    assert click.event_id == UUID(CLICK["event_id"])
    assert click.occurred_at == datetime(2026, 1, 2, 1, 4, 5, 678901, tzinfo=UTC)
    assert click.impression_id == UUID("550e8400-e29b-41d4-a716-446655440001")
    assert (click.campaign_id, click.ip, click.user_id) == (7, "203.0.113.9", "u")


@pytest.mark.parametrize("name", ["impression_id", "user_id"])
@pytest.mark.parametrize("value", [MISSING, None])
def test_what_is_optional_may_be_missing_or_null(name: str, value: object) -> None:
    assert getattr(decode(ClickEvent, CLICK, **{name: value}), name) is None


@pytest.mark.parametrize("name", ["ip", "user_agent", "user_id"])
@pytest.mark.parametrize("value", [MISSING, None])
def test_what_is_optional_of_an_impression_may_be_missing_or_null(name: str, value: object) -> None:
    assert getattr(decode(ImpressionEvent, IMPRESSION, **{name: value}), name) is None


def test_unknown_fields_are_ignored() -> None:
    assert decode(ClickEvent, CLICK, colour="red", nested={"a": [1]}) == decode(ClickEvent, CLICK)


@pytest.mark.parametrize("name", sorted(CLICK))
def test_a_click_without_a_required_field_is_refused(name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=name):
        decode(ClickEvent, CLICK, **{name: MISSING})


@pytest.mark.parametrize("name", sorted(IMPRESSION))
def test_an_impression_without_a_required_field_is_refused(name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=name):
        decode(ImpressionEvent, IMPRESSION, **{name: MISSING})


@pytest.mark.parametrize(
    "changes",
    [
        {"event_id": "no-uuid"},
        {"event_id": 5},
        {"event_id": None},
        {"campaign_id": "7"},
        {"campaign_id": 7.0},
        {"campaign_id": True},
        {"campaign_id": 0},
        {"campaign_id": -1},
        {"campaign_id": 2**63},
        {"campaign_id": 10**30},
        {"occurred_at": 1767323045},
        {"occurred_at": "2026-01-02T03:04:05"},
        {"occurred_at": "2026-01-02"},
        {"occurred_at": "2026-02-30T00:00:00Z"},
        {"occurred_at": "1969-12-31T23:59:59Z"},
        {"occurred_at": "2200-01-01T00:00:00Z"},
        {"occurred_at": "0001-01-01T00:00:00+23:59"},
        {"occurred_at": "9999-12-31T23:59:59-23:59"},
        {"ip": ""},
        {"ip": "203.0.113"},
        {"ip": "203.0.113.09"},
        {"ip": "203.0.113.256"},
        {"ip": "203.0.113.9/24"},
        {"ip": " 203.0.113.9"},
        {"ip": "203.0.113.9\n"},
        {"ip": "٢.0.113.9"},
        {"ip": "fe80::1%eth0"},
        {"ip": "::ffff:01.2.3.4"},
        {"ip": "1::2::3"},
        {"ip": "localhost"},
        {"ip": 3405803785},
        {"user_agent": None},
        {"user_agent": "x" * (limits.USER_AGENT_CHARS + 1)},
        {"url": ""},
        {"url": "x" * (limits.URL_CHARS + 1)},
        {"impression_id": "x"},
        {"user_id": 5},
        {"user_id": "x" * (limits.USER_ID_CHARS + 1)},
    ],
    ids=lambda changes: next(f"{name}={value!s:.30}" for name, value in changes.items()),
)
def test_a_click_with_a_value_that_no_column_takes_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(ClickEvent, CLICK, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"campaign_id": 2**63 - 1},
        {"occurred_at": "1970-01-01T00:00:00Z"},
        {"occurred_at": "2199-12-31T23:59:59.999999Z"},
        {"ip": "255.255.255.255"},
        {"ip": "2001:DB8::1"},
        {"ip": "::ffff:203.0.113.9"},
        {"ip": "::"},
        {"user_agent": "🦊" * limits.USER_AGENT_CHARS},
        {"url": "x" * limits.URL_CHARS},
        {"user_id": ""},
    ],
    ids=lambda changes: next(f"{name}={value!s:.30}" for name, value in changes.items()),
)
def test_a_click_at_the_limits_is_accepted(changes: dict[str, Any]) -> None:
    decode(ClickEvent, CLICK, **changes)


@pytest.mark.parametrize(
    "changes", [{"placement": ""}, {"placement": "x" * (limits.PLACEMENT_CHARS + 1)}, {"ip": "x"}, {"occurred_at": "x"}]
)
def test_an_impression_with_a_value_that_no_column_takes_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(ImpressionEvent, IMPRESSION, **changes)


def test_the_message_about_a_bad_address_does_not_repeat_it() -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        decode(ClickEvent, CLICK, ip="203.0.113.256")

    assert "203.0" not in str(caught.value)


@pytest.mark.parametrize(("event", "model"), [(ClickEvent, Click), (ImpressionEvent, Impression)])
def test_every_field_of_an_event_has_its_column(event: type[Any], model: type[Any]) -> None:
    columns = {field.column for field in model._meta.concrete_fields}

    assert {field.name for field in msgspec.structs.fields(event)} <= columns
