"""Moving a group from the console, against the real broker: a preview first, then what the preview showed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from consumers.kafka.producer import RecordProducer
from consumers.models import Control, PartitionLedger, PositionMove
from tests.integration.admin_records import client_with
from tests.integration.console_rows import CONSOLE, GROUP, ledger_line

pytestmark = pytest.mark.django_db

SEEK = f"{CONSOLE}seek/"


@pytest.fixture
def topic(make_topic: Callable[..., str], producer: RecordProducer) -> str:
    """Two partitions with ten records each, of which the group has read seven."""
    name = make_topic(partitions=2)
    for number in range(20):
        producer.send(name, b"%d" % number, partition=number % 2)
    producer.flush()
    for number in range(2):
        ledger_line(number, at=7, topic=name)
    return name


def form(topic: str, **fields: str) -> dict[str, str]:
    return {"target": json.dumps([GROUP, topic]), "where": "beginning", "reason": "replay", **fields}


def hidden(page: str) -> dict[str, str]:
    """What the preview's form would post."""
    import html

    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in found if name != "csrfmiddlewaretoken"}


def at() -> list[int]:
    return list(PartitionLedger.objects.order_by("partition").values_list("next_offset", flat=True))


def test_a_preview_moves_nothing_and_its_confirmation_moves_what_it_showed(topic: str) -> None:
    client = client_with("view_console", "control_worker")
    preview = client.post(SEEK, form(topic, partitions="1")).content.decode()
    assert "7 read again" in preview
    assert at() == [7, 7]

    answer = client.post(SEEK, hidden(preview), follow=True)
    assert "Moved 1 partitions" in answer.content.decode()
    assert at() == [7, 0]
    [move] = PositionMove.objects.all()
    assert (move.partition, move.from_offset, move.to_offset) == (1, 7, 0)
    [order] = Control.objects.all()
    assert (order.kind, order.reason, order.value["partitions"]) == ("seek", "replay", [1])


def test_to_the_end_tells_what_will_never_be_counted(topic: str) -> None:
    preview = client_with("control_worker").post(SEEK, form(topic, where="end")).content.decode()
    assert "6 skipped" in preview
    assert "6 will never be counted" in preview


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"where": "offset", "offset": "11"}, "holds offsets 0 to 10; 11 is not among them"),
        ({"where": "offset"}, "Say which"),
        ({"where": "time"}, "Say which"),
        ({"partitions": "7"}, "has no partition 7"),
        ({"partitions": "one"}, "Numbers with commas"),
        ({"reason": ""}, "This field is required"),
    ],
)
def test_what_cannot_be_is_said_in_the_form(topic: str, fields: dict[str, str], said: str) -> None:
    assert said in client_with("control_worker").post(SEEK, form(topic, **fields)).content.decode()
    assert at() == [7, 7]


@pytest.mark.parametrize("offsets", ['{"0": 99}', '{"5": 0}', "{}", "x", '{"0": null}'])
def test_a_confirmation_that_was_tampered_with_moves_nothing(topic: str, offsets: str) -> None:
    posted = {"apply": "yes", "target": json.dumps([GROUP, topic]), "offsets": offsets, "reason": "r"}
    answer = client_with("view_console", "control_worker").post(SEEK, posted, follow=True)
    assert "Nothing was moved" in answer.content.decode()
    assert at() == [7, 7]


def test_moving_needs_the_permission(topic: str) -> None:
    posted = {"apply": "yes", "target": json.dumps([GROUP, topic]), "offsets": '{"0": 0}', "reason": "r"}
    assert client_with("view_console").post(SEEK, posted).status_code == 403
    assert at() == [7, 7]
