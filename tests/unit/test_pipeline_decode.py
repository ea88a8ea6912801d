"""Bytes become events, or fail with a reason."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.core.outcomes import Outcomes
from consumers.core.records import Record, TopicPartition
from consumers.pipeline.decode import EventDecoder


class Nested(msgspec.Struct):
    text: str = ""


class Event(msgspec.Struct):
    id: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
    text: str = ""
    at: datetime | None = None
    nested: Nested | None = None
    any: Any = None


def decode(*values: bytes | None) -> tuple[list[Any], Outcomes]:
    outcomes = Outcomes()
    records = [Record(TopicPartition("t", 0), offset, value) for offset, value in enumerate(values)]
    decoded = EventDecoder(Event, 2**30).decode(records, outcomes)
    return decoded.events, outcomes


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "undecodable"),
        (b"{", "undecodable"),
        (b"\xff\xfe", "undecodable"),
        (b'{"id": 1, "text": "\xff"}', "undecodable"),
        (b'\xef\xbb\xbf{"id": 1}', "undecodable"),
        (b'{"id": NaN}', "undecodable"),
        (b'{"id": 1} {}', "undecodable"),
        (b'{"id": 1, "unknown": ' + b"[" * 100_000, "undecodable"),
        (b'{"any": ' + b"[" * 100_000, "undecodable"),
        (b'{"id": 1, "text": "\\ud800"}', "undecodable"),
        (b"[]", "invalid"),
        (b"null", "invalid"),
        (b"{}", "invalid"),
        (b'{"id": "1"}', "invalid"),
        (b'{"id": 0}', "invalid"),
        (b'{"id": 1e999}', "invalid"),
        (b'{"id": 99999999999999999999}', "invalid"),
        (b'{"id": 1, "at": "0000-01-01T00:00:00Z"}', "invalid"),
        (b'{"id": 1, "at": "99999-01-01T00:00:00Z"}', "invalid"),
        (b'{"id": 1, "text": "a\\u0000b"}', "invalid"),
        (b'{"id": 1, "nested": {"text": "\\u0000"}}', "invalid"),
        (b'{"id": 1, "any": [{"a\\u0000": 1}]}', "invalid"),
    ],
)
def test_what_is_not_the_event_fails_with_a_reason(value: bytes, reason: str) -> None:
    events, outcomes = decode(value)
    assert events == []
    [failure] = outcomes.failures
    assert failure.reason == reason
    assert failure.message


def test_a_tombstone_is_skipped() -> None:
    events, outcomes = decode(None)
    assert (events, len(outcomes.skipped)) == ([], 1)


def test_an_unknown_field_is_ignored() -> None:
    assert decode(b'{"id": 1, "unknown": {"x": [1, 2]}}')[0] == [Event(id=1)]


def test_nul_in_a_field_that_nobody_reads_is_no_reason_to_refuse() -> None:
    assert decode(b'{"id": 1, "unknown": "\\u0000"}')[0] == [Event(id=1)]


def test_an_escaped_backslash_before_u0000_is_not_nul() -> None:
    assert decode(b'{"id": 1, "text": "\\\\u0000"}')[0] == [Event(id=1, text="\\u0000")]


def test_good_records_keep_their_order_among_bad_ones() -> None:
    events, outcomes = decode(b'{"id": 1}', b"{", b'{"id": 2}', None, b'{"id": 3}')
    assert [event.id for event in events] == [1, 2, 3]
    assert (len(outcomes.failures), len(outcomes.skipped)) == (1, 1)


@given(st.lists(st.none() | st.binary() | st.sampled_from([b'{"id": 7}', b"[1]", b'{"id": "'])))
def test_whatever_comes_each_record_is_decoded_failed_or_skipped(values: list[bytes | None]) -> None:
    events, outcomes = decode(*values)
    assert len(events) + len(outcomes.failures) + len(outcomes.skipped) == len(values)
