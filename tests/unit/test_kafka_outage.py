"""When the broker counts as away, by what the client says."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from consumers.kafka import outage
from consumers.kafka.outage import Outage

REFUSED = KafkaError(
    KafkaError._TRANSPORT, "here:9092/1: Connect to ipv4#10.0.0.1:9092 failed (after 0ms in state CONNECT)"
)
ALL_DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")


class Broker:
    """Answers or not."""

    def __init__(self) -> None:
        self.is_up = False
        self.asked = 0

    def ask(self) -> None:
        self.asked += 1
        if not self.is_up:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT, "timed out"))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "_ASK_EVERY", 0.0)


def test_a_broker_that_is_away_is_told_until_it_answers_again() -> None:
    broker = Broker()
    seen = Outage(broker.ask)
    for error in (REFUSED, ALL_DOWN):
        seen.heard(error)
    seen.look()
    seen.look()
    assert seen.text == "here:9092/1: Connect to ipv4#10.0.0.1:9092 failed"

    broker.is_up = True
    seen.look()
    assert (seen.text, broker.asked) == ("", 3)
    seen.look()
    assert broker.asked == 3


def test_connections_that_are_lost_for_a_moment_are_no_outage() -> None:
    broker = Broker()
    broker.is_up = True
    seen = Outage(broker.ask)
    seen.heard(ALL_DOWN)
    seen.look()
    assert seen.text == ""


def test_one_broker_of_several_that_is_away_is_no_outage() -> None:
    broker = Broker()
    seen = Outage(broker.ask)
    seen.heard(REFUSED)
    seen.look()
    assert (seen.text, broker.asked) == ("", 0)


def test_a_broker_in_an_outage_is_not_asked_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "_ASK_EVERY", 60.0)
    broker = Broker()
    seen = Outage(broker.ask)
    seen.heard(ALL_DOWN)
    for _ in range(5):
        seen.look()
    assert (seen.text, broker.asked) == ("no broker answers", 1)
