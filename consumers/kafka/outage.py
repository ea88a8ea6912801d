"""Whether the broker is away. The client says once that it has lost every broker, and never that one is back."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from confluent_kafka import KafkaError, KafkaException

from consumers.kafka.errors import complaint

_ASK_EVERY = 2.0


class Outage:
    """Follows the client's complaints and, once all brokers are lost, asks until one answers."""

    def __init__(self, ask: Callable[[], object]) -> None:
        """`ask` is a question that any broker can answer; it may take a moment, and raises the client's error."""
        self.text = ""
        """What keeps the broker away; empty while it answers."""
        self._ask = ask
        self._said: dict[int, str] = {}
        """The latest complaint of each kind."""
        self._asked_at = float("-inf")

    def heard(self, error: KafkaError) -> None:
        """Take note of what the client complains of."""
        self._said[error.code()] = error.str()

    def look(self) -> None:
        """See, now and then, whether the broker is still away."""
        if KafkaError._ALL_BROKERS_DOWN not in self._said or monotonic() - self._asked_at < _ASK_EVERY:
            return
        self._asked_at = monotonic()
        try:
            self._ask()
        except KafkaException:
            self.text = complaint(self._said.values()) or "no broker answers"
        else:
            self.text = ""
            self._said.clear()
