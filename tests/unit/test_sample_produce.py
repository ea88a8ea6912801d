"""What `produce_events` sends: made-up clicks whose counts add up, lines as they are, keys, an even pace."""

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ads.events import ClickEvent
from demo.generate import UNKNOWN_CAMPAIGNS, Clicks, Shares, sample_campaigns
from demo.keys import key_of
from demo.lines import read_lines
from demo.pacing import Pacer

CAMPAIGNS = [11, 12, 13]
SHARES = Shares(repeats=0.1, unknown=0.02, garbage=0.07)


def made(sent: int = 1_000, seed: int = 1) -> list[bytes]:
    return list(Clicks(seed, CAMPAIGNS).records(SHARES.counts(sent)))


def decoded(values: list[bytes]) -> list[ClickEvent]:
    """Those that are clicks."""
    events = []
    for value in values:
        try:
            events.append(msgspec.json.decode(value, type=ClickEvent))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return events


def test_the_made_up_clicks_are_so_many_of_each_kind_as_the_counts_say() -> None:
    values = made()
    events = decoded(values)
    unknown = [event for event in events if event.campaign_id >= UNKNOWN_CAMPAIGNS]
    good = [event for event in events if event.campaign_id in CAMPAIGNS]

    assert len(values) == 1_000
    assert len(values) - len(events) == 70
    assert len(unknown) == len({event.event_id for event in unknown}) == 20
    assert len(good) - len({event.event_id for event in good}) == 100
    assert len({event.event_id for event in good}) == 810


def test_a_repeat_is_byte_for_byte_an_earlier_click() -> None:
    values = made()
    seen: set[bytes] = set()
    repeats = [value for value in values if value in seen or seen.add(value)]  # type: ignore[func-returns-value]

    assert len(decoded(repeats)) == len(repeats) - sum(value == b"not json at all" for value in repeats)
    assert len(decoded(repeats)) == 100


def test_the_same_seed_makes_the_same_clicks_and_another_seed_others() -> None:
    assert made() == made()
    assert not set(decoded(made())) & set(decoded(made(seed=2)))


def test_made_up_clicks_are_on_campaigns_that_the_seed_brings_in_at_first() -> None:
    assert len(sample_campaigns()) == 154


@given(
    sent=st.integers(1, 10_000),
    shares=st.tuples(st.floats(0, 0.4), st.floats(0, 0.3), st.floats(0, 0.2)),
)
def test_counts_always_add_up(sent: int, shares: tuple[float, float, float]) -> None:
    chosen = Shares(repeats=shares[0], unknown=shares[1], garbage=shares[2])
    try:
        counts = chosen.counts(sent)
    except ValueError:
        return
    assert counts.sent == sent == counts.unique_valid + counts.repeats + counts.unknown + counts.garbage


def test_the_case_of_a_hundred_thousand_clicks() -> None:
    counts = Shares(repeats=0.01, unknown=0.001, garbage=0.001).counts(100_000)

    assert counts.as_dict() == {
        "sent": 100_000,
        "unique_valid": 98_800,
        "repeats": 1_000,
        "unknown": 100,
        "garbage": 100,
    }


@pytest.mark.parametrize("shares", [{"repeats": -0.1}, {"garbage": 1.1}, {"unknown": float("nan")}])
def test_a_share_outside_zero_to_one_is_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Shares(**shares)


@pytest.mark.parametrize("shares", [{"repeats": 1.0}, {"unknown": 0.6, "garbage": 0.6}])
def test_shares_that_leave_no_room_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="too few valid"):
        Shares(**shares).counts(10)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (b'{"a": 5, "b": "x"}', b"5"),
        (b'{"b": "x"}', b"x"),
        (b'{"a": null, "b": "x"}', b"x"),
        (b'{"a": "", "b": 0}', b"0"),
        (b'{"c": 1}', None),
        (b"[1]", None),
        (b"not json", None),
        (b'"\xff"', None),
        (b"", None),
        (b"[" * 100_000, None),
    ],
)
def test_a_key_is_the_first_field_that_the_event_has(value: bytes, key: bytes | None) -> None:
    assert key_of(value, ["a", "b"]) == key


@pytest.mark.parametrize("packed", [False, True])
def test_lines_are_read_as_they_are_without_their_ends(tmp_path: Path, *, packed: bool) -> None:
    path = tmp_path / ("events.jsonl.gz" if packed else "events.jsonl")
    text = b'{"a":1}\r\n\n \xff\nlast'
    path.write_bytes(gzip.compress(text) if packed else text)

    assert list(read_lines(str(path))) == [b'{"a":1}', b" \xff", b"last"]


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("rate", "seconds"), [(10.0, 9.9), (5000.0, 0.0198), (None, 0.0)])
def test_a_pacer_keeps_the_average(rate: float | None, seconds: float) -> None:
    clock: Any = Clock()
    pacer = Pacer(rate, now=lambda: clock.now, sleep=clock.sleep)
    for _ in range(100):
        pacer.wait()

    assert clock.now - 100.0 == pytest.approx(seconds, abs=0.0011)
