"""What must be done in sequence: a consumer's `order_by`, asked once per record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from consumers.consumer import BatchConsumer
from consumers.core.errors import FatalError
from consumers.core.outcomes import Outcomes
from consumers.core.records import Record
from consumers.pipeline.decode import Decoded
from consumers.pipeline.failures import failure


class Group(NamedTuple):
    """Records to be processed one after the other."""

    pairs: list[tuple[Record, Any]]
    token: str = ""
    """Names their key where a failure holds back later records."""


class Order:
    """The order that one consumer asks for."""

    def __init__(self, consumer: BatchConsumer[Any, Any]) -> None:
        self._consumer = consumer
        self.is_asked_for = type(consumer).order_by is not BatchConsumer.order_by

    def groups(self, decoded: Decoded, outcomes: Outcomes) -> Iterable[Group]:
        """Records of one key together, all others alone. Where `order_by` itself fails, so does the record.

        Raises:
            FatalError: from `order_by`.
        """
        groups: dict[Any, Group] = {}
        for record, event in decoded.pairs():
            try:
                key = self._consumer.order_by(event)
                place = ("alone", record.position) if key is None else (key,)
                group = groups.get(place) or groups.setdefault(place, Group([], self._token(key)))
            except FatalError:
                raise
            except Exception as error:  # noqa: BLE001  (the consumer's own code, on one record)
                outcomes.failures.append(failure(record, error))
                continue
            group.pairs.append((record, event))
        return groups.values()

    def _token(self, key: Any) -> str:
        return order_token(key) if self._consumer.retry.hold_key and key is not None else ""


def order_token(key: Any) -> str:
    """A key of `order_by` as it is stored: 32 hexadecimal digits of its `repr`, which must always be the same."""
    return hashlib.blake2b(repr(key).encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()
