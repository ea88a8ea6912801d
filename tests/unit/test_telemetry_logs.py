"""Log lines: stable keys for machines, and nothing in a payload that breaks out of a line."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from consumers.core.printable import printable
from consumers.core.records import TopicPartition
from consumers.telemetry.logs import JsonFormatter, LineFormatter

HOSTILE = 'x\n2026-01-01 00:00:00 ERROR forged\r\x1b[2J\u202eabc\u2028{"level": "ERROR"}\x00\ud800'


def record(message: str, *args: Any, error: Exception | None = None, **extra: Any) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("consumers.engine.runner", logging.INFO, __file__, 1, message, args, info)
    vars(made).update(extra)
    return made


def as_json(made: logging.LogRecord) -> dict[str, Any]:
    line = JsonFormatter().format(made)
    assert line.isascii()
    assert "\n" not in line
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def failed(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as raised:
        return raised


def test_every_line_has_the_same_first_keys() -> None:
    line = as_json(record("settled %d", 5))
    assert list(line) == ["ts", "level", "logger", "msg", "host", "pid"]
    assert (line["level"], line["logger"], line["msg"]) == ("INFO", "consumers.engine.runner", "settled 5")
    assert line["ts"].endswith("Z")


def test_a_settled_chunk_tells_its_counts_and_places() -> None:
    spans = {TopicPartition("ads.clicks", 3): (10, 20)}
    line = as_json(record("settled", consumer="clicks", group="g", received=10, failed=1, ms=12.5, spans=spans))
    assert line["consumer"] == "clicks"
    assert (line["received"], line["failed"], line["ms"]) == (10, 1, 12.5)
    assert (line["topic"], line["partition"]) == ("ads.clicks", 3)
    assert line["spans"] == [{"topic": "ads.clicks", "partition": 3, "first": 10, "last": 19}]


def test_a_chunk_of_several_partitions_has_no_single_place() -> None:
    spans = {TopicPartition("t", 0): (0, 1), TopicPartition("t", 1): (5, 7)}
    line = as_json(record("settled", spans=spans))
    assert "partition" not in line
    assert [place["partition"] for place in line["spans"]] == [0, 1]


def test_an_error_brings_its_class_and_traceback_in_the_same_line() -> None:
    line = as_json(record("stopped", error=failed(ValueError(HOSTILE))))
    assert line["exception"] == "ValueError"
    assert "test_telemetry_logs" in line["traceback"]


def test_hostile_text_stays_one_json_line() -> None:
    assert as_json(record("bad: %s", HOSTILE))["msg"] == f"bad: {HOSTILE}"


def test_a_huge_message_is_cut() -> None:
    assert len(JsonFormatter().format(record("x" * 10_000_000))) < 20_000


def test_hostile_text_cannot_pass_for_a_line_or_reach_the_terminal() -> None:
    text = LineFormatter("%(levelname)s %(name)s %(message)s").format(record("bad: %s", HOSTILE))
    first, *others = text.split("\n")
    assert first == "INFO consumers.engine.runner bad: x"
    assert all(line.startswith("    ") for line in others)
    assert not set(text) & {"\x1b", "\r", "\u202e", "\u2028", "\x00"}
    text.encode()


def test_a_traceback_of_a_hostile_error_cannot_either() -> None:
    text = LineFormatter("%(message)s").format(record("stopped", error=failed(ValueError(HOSTILE))))
    assert "\x1b" not in text
    assert all(line.startswith((" ", "stopped", "Traceback")) for line in text.split("\n"))


@pytest.mark.parametrize(
    "char", [chr(code) for code in (0, 7, 8, 0x1B, 0x7F, 0x85, 0x9B, 0x200B, 0x202E, 0x2066, 0xFEFF)]
)
def test_what_cannot_be_seen_is_written_out(char: str) -> None:
    assert printable(f"a{char}b").isprintable()
    assert printable(f"a{char}b") != "ab"


def test_what_can_be_seen_stays() -> None:
    assert printable("Ünïcode, 漢字 and 🎉") == "Ünïcode, 漢字 and 🎉"
    assert printable("a\tb\nc", keep="\n\t") == "a\tb\nc"
