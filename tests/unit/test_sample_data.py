"""The sample that ships: every line is an event, or one of the defects that ATTRIBUTION.md tells of."""

from collections import Counter
from typing import Any

import msgspec
import pytest

from ads.events import ClickEvent, ImpressionEvent
from demo.lines import read_lines
from demo.samples import DATA_DIR, KEYS, SAMPLES, seed
from payments.events import PaymentEvent

EVENTS: dict[str, type[Any]] = {"clicks": ClickEvent, "impressions": ImpressionEvent, "payments": PaymentEvent}


def read(name: str) -> tuple[list[Any], Counter[str]]:
    """The events of a sample, and how many lines fail with which message."""
    decoder = msgspec.json.Decoder(EVENTS[name])
    events, defects = [], Counter[str]()
    for line in read_lines(str(SAMPLES[name].path)):
        try:
            events.append(decoder.decode(line))
        except msgspec.ValidationError as error:
            defects[str(error)] += 1
    return events, defects


@pytest.mark.parametrize(("name", "count"), [("clicks", 287), ("impressions", 30_144)])
def test_every_click_and_impression_of_the_sample_is_valid_and_there_once(name: str, count: int) -> None:
    events, defects = read(name)

    assert not defects
    assert len(events) == len({event.event_id for event in events}) == count


def test_every_click_of_the_sample_belongs_to_an_impression_of_the_sample() -> None:
    shown = {event.event_id for event in read("impressions")[0]}

    assert {event.impression_id for event in read("clicks")[0]} <= shown


def test_payments_of_the_sample_lack_a_customer_or_come_to_nothing_or_are_valid() -> None:
    events, defects = read("payments")

    assert len(events) == 8_940
    assert defects.total() == 1_702 + 1
    assert all("`advertiser_id`" in message or "$.amount" in message for message in defects)


def test_one_payment_of_the_sample_comes_again_with_other_content() -> None:
    contents: dict[str, set[Any]] = {}
    for event in read("payments")[0]:
        contents.setdefault(event.transaction_id, set()).add(event)

    assert [number for number, different in contents.items() if len(different) > 1] == ["542806"]


def test_the_seed_names_everybody_that_the_events_speak_of() -> None:
    campaigns = {entry["id"] for entry in seed("campaigns")}
    advertisers = {entry["id"] for entry in seed("advertisers")}

    for name in ("clicks", "impressions"):
        assert {event.campaign_id for event in read(name)[0]} <= campaigns
    assert {event.advertiser_id for event in read("payments")[0]} <= advertisers
    assert {entry["advertiser_id"] for entry in seed("campaigns")} <= advertisers


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_so_few_fail_before_the_seed_is_complete_that_the_flood_guard_keeps_still(name: str) -> None:
    late = {entry["id"] for kind in ("campaigns", "advertisers") for entry in seed(kind) if entry.get("late")}
    events, defects = read(name)
    unknown = sum(getattr(event, KEYS[SAMPLES[name].topic][0]) in late for event in events)

    assert 0 < unknown + defects.total() < 0.3 * len(events)


def test_the_sample_is_a_few_megabytes_at_most_and_keeps_its_licences() -> None:
    assert sum(path.stat().st_size for path in DATA_DIR.iterdir()) < 3_000_000
    assert {path.name for path in DATA_DIR.iterdir()} >= {
        "ATTRIBUTION.md",
        "LICENSE-open-bandit.txt",
        "LICENSE-online-retail.txt",
    }
