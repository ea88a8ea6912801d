"""Whatever records hold: log lines, what commands print and their errors are printable, and keep to their line."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from unicodedata import category

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.utils.module_loading import import_string

from consumers.api import reject
from consumers.core.errors import Flood
from consumers.core.flood import FloodPolicy
from consumers.models import FailedRecord
from consumers.testing import MemoryLog, run_consumer
from tests.integration.engine import settings_with
from tests.orders import TOPIC, Order, OrderConsumer, OrderEvent

pytestmark = pytest.mark.django_db

EVIL = "\x1b[2J\x07\u202eevil\u2066\u200b\n2026-01-01 00:00:00,000 ERROR forged line\r\u2028<b>"


class Evil(OrderConsumer):
    """Fails everything with what it was sent; a code says in which way."""

    name = "evil-orders"

    def process(self, event: OrderEvent, context: object) -> Order:
        if event.code == "reject":
            reject(event.note[:100])
        raise ValueError(event.note)


@pytest.fixture(autouse=True)
def consumer(registered: Callable[[type], type]) -> type:
    return registered(Evil)


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """All that the project's own two formatters make of what is logged."""
    written: list[str] = []
    formatters = [_formatter(name) for name in ("line", "json")]

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.extend(formatter.format(record) for formatter in formatters)

    keeper = Keeper(logging.DEBUG)
    root = logging.getLogger()
    level, root.level = root.level, logging.DEBUG
    root.addHandler(keeper)
    yield written
    root.removeHandler(keeper)
    root.setLevel(level)


def _formatter(name: str) -> logging.Formatter:
    given = dict(django_settings.LOGGING["formatters"][name])
    made = import_string(given.pop("()"))
    return made(given.get("format")) if given else made()  # type: ignore[no-any-return]


def evil(code: str, number: str = EVIL) -> bytes:
    return json.dumps({"number": number, "code": code, "note": EVIL}).encode()


def run(**changes: Any) -> None:
    log = MemoryLog({TOPIC: 1})
    for code in ("reject", "raise"):
        log.append(TOPIC, evil(code), key=EVIL.encode(), headers=((EVIL, EVIL.encode()),))
    log.append(TOPIC, EVIL.encode(), key=EVIL.encode())
    run_consumer(Evil, log, settings=settings_with(**changes))


def unseen(text: str) -> set[str]:
    return {char for char in text if category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in "\n\t"}


def assert_harmless(text: str) -> None:
    assert unseen(text) == set(), text
    assert not [line for line in text.splitlines() if line.startswith("2026-01-01")], text


def test_nothing_that_a_record_holds_reaches_a_log_as_a_command_or_another_line(lines: list[str]) -> None:
    run(flood_guard=False)
    assert FailedRecord.objects.count() == 3
    assert lines
    for line in lines:
        assert_harmless(line)


def test_a_flood_is_told_in_printable_characters() -> None:
    with pytest.raises(Flood) as caught:
        run(flood=FloodPolicy(window=3, run=2), flood_guard=True)
    assert_harmless(str(caught.value))


@pytest.mark.parametrize("more", [[], ["--dry-run"], ["--json"]], ids=["plain", "dry-run", "json"])
def test_reprocessing_prints_reasons_in_printable_characters(lines: list[str], more: list[str]) -> None:
    run(flood_guard=False)
    out = io.StringIO()
    call_command("reprocess_failures", *more, stdout=out)
    assert "3 failed again" in out.getvalue() or '"failed": 3' in out.getvalue()
    assert_harmless(out.getvalue())
    for line in lines:
        assert_harmless(line)


def test_what_a_user_types_is_told_in_printable_characters() -> None:
    with pytest.raises(CommandError) as caught:
        call_command("reprocess_failures", "--since", EVIL)
    assert_harmless(str(caught.value))
