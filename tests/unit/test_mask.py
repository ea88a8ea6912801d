"""What a consumer redacts is masked in what is stored of a failure beside its value."""

from __future__ import annotations

import msgspec
import pytest

from consumers.consumer import BatchConsumer
from consumers.core.outcomes import Failure
from consumers.core.records import Record, TopicPartition
from consumers.pipeline.mask import Masker, mask, redacted_names


class Visit(msgspec.Struct, rename={"address": "ip"}):
    address: str
    agent: str = ""


class Redacting(BatchConsumer):  # type: ignore[type-arg]
    event = Visit
    redact = ("address", "agent")


class Open(BatchConsumer):  # type: ignore[type-arg]
    event = Visit


def failing(value: bytes | None, message: str, traceback: str = "") -> Failure:
    record = Record(TopicPartition("visits", 0), 1, value)
    return Failure(record=record, reason="invalid", message=message, traceback=traceback)


def masked(value: bytes | None, message: str) -> str:
    return Masker(Redacting).masked([failing(value, message)])[0].message


def test_fields_are_masked_by_their_names_in_python_and_on_the_wire() -> None:
    assert redacted_names(Redacting) == {"address", "ip", "agent"}


@pytest.mark.parametrize(
    ("value", "message", "stored"),
    [
        (b'{"ip": "203.0.113.9"}', "no such host 203.0.113.9", "no such host [redacted]"),
        (b'{"ip": 3405803785}', "no such host 3405803785", "no such host [redacted]"),
        (b'{"ip": 1.50}', "no such host 1.50", "no such host [redacted]"),
        (b'{"in": [{"ip": {"a": ["203.0.113.9"]}}]}', "at 203.0.113.9", "at [redacted]"),
        (b'{"agent": "it\'s \\"me\\"\\n"}', """bad: "it's \\"me\\"\\n" """, 'bad: "[redacted]" '),
        (b'{"agent": "caf\\u00e9-1"}', "'caf\u00e9-1' is unknown", "'[redacted]' is unknown"),
        (b'{"ip": "203.0.113.9", "page"', "no such host 203.0.113.9", "no such host [redacted]"),
        (b'{"ip": "no"}', "no such host", "no such host"),
        (b'{"page": "203.0.113.9"}', "no such host 203.0.113.9", "no such host 203.0.113.9"),
        (b'{"ip": null, "agent": true}', "None or True", "None or True"),
        (b"\xff\xfe", "x", "x"),
        (b"[" * 100_000, "x", "x"),
        (None, "x", "x"),
    ],
)
def test_a_message_is_stored_without_the_values_of_redacted_fields(
    value: bytes | None, message: str, stored: str
) -> None:
    assert masked(value, message) == stored


def test_a_traceback_is_masked_too() -> None:
    (each,) = Masker(Redacting).masked([failing(b'{"ip": "203.0.113.9"}', "x", "ValueError: '203.0.113.9'")])
    assert each.traceback == "ValueError: '[redacted]'"


def test_failures_of_a_consumer_that_redacts_nothing_are_left_as_they_are() -> None:
    failures = [failing(b'{"ip": "203.0.113.9"}', "203.0.113.9")]
    assert Masker(Open).masked(failures) is failures


def test_the_longer_of_two_values_is_masked_as_a_whole() -> None:
    assert masked(b'{"ip": "abc", "agent": "abcdef"}', "abcdef and abc") == "[redacted] and [redacted]"


def test_a_value_is_masked_as_python_or_json_would_write_it() -> None:
    assert mask(r"'a\tb' and a	b", ["a\tb"]) == "'[redacted]' and [redacted]"
