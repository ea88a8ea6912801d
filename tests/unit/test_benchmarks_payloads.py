"""The benchmark's records are what each shape says: good ones decode, bad ones are as many as announced."""

from collections import Counter

import msgspec
import pytest

from ads.events import ClickEvent
from benchmarks import payloads
from benchmarks.contenders.hand import copy_text, decode
from benchmarks.shapes import SHAPES
from payments.events import PaymentEvent

CHUNK = 100


def good(values: list[bytes], event: type) -> list[bytes]:
    kept = []
    for value in values:
        try:
            msgspec.json.decode(value, type=event)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        kept.append(value)
    return kept


@pytest.mark.parametrize("name", ["clean", "repeats", "poison", "io", "hot", "filled", "backlog"])
def test_every_click_of_a_shape_without_bad_ones_passes_validation(name: str) -> None:
    values = list(SHAPES[name].make(1_000, CHUNK))
    assert len(good(values, ClickEvent)) == 1_000


@pytest.mark.parametrize(("name", "undecodable"), [("bad01", 1), ("bad5", 50)])
def test_half_of_the_bad_records_cannot_be_decoded(name: str, undecodable: int) -> None:
    values = list(SHAPES[name].make(2_000, CHUNK))
    assert len(values) - len(good(values, ClickEvent)) == undecodable


def test_one_record_in_a_hundred_is_a_repeat() -> None:
    values = list(SHAPES["repeats"].make(2_000, CHUNK))
    assert len(values) - len(set(values)) == 20


def test_each_chunk_has_one_poison() -> None:
    values = list(payloads.poisoned(10 * CHUNK, CHUNK))
    chunks = [values[start : start + CHUNK] for start in range(0, len(values), CHUNK)]
    assert [sum(payloads.POISON.encode() in value for value in chunk) for chunk in chunks] == [1] * 10


def test_a_large_record_is_a_click_of_exactly_a_megabyte() -> None:
    [value] = payloads.large(1)
    assert len(value) == payloads.MEGABYTE
    msgspec.json.decode(value, type=ClickEvent)


def test_numbered_clicks_all_have_ids_of_their_own() -> None:
    events = [msgspec.json.decode(value, type=ClickEvent) for value in payloads.numbered(5_000)]
    assert len({event.event_id for event in events}) == 5_000


def test_numbered_clicks_are_on_many_campaigns_so_that_no_partition_has_them_all() -> None:
    by_campaign = Counter(msgspec.json.decode(value)["campaign_id"] for value in payloads.numbered(5_000))
    assert max(by_campaign.values()) < 500


def test_payments_are_valid_and_a_repeat_is_the_same_to_the_byte() -> None:
    values = list(payloads.payments(5_000, repeats=0.1))
    events = [msgspec.json.decode(value, type=PaymentEvent) for value in values]
    by_id = Counter(event.transaction_id for event in events)
    assert len(set(values)) == len(by_id) < 5_000


def test_the_hand_written_program_makes_one_copy_line_per_click() -> None:
    values = list(payloads.clicks(50))
    events = decode(b"[" + b",".join(values) + b"]")
    lines = copy_text(events, {event.campaign_id: "1\t0.10\tt" for event in events}).splitlines()
    assert len(lines) == 50
    assert {line.count("\t") for line in lines} == {11}
