"""The client's errors, translated once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from consumers.core.errors import ConsumerError, Misconfigured, TransientError

_CONFIGURATION = {
    KafkaError._INVALID_ARG,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,
    KafkaError._SSL,
    KafkaError.UNSUPPORTED_VERSION,
    KafkaError._UNSUPPORTED_FEATURE,
    KafkaError.INVALID_GROUP_ID,
    KafkaError.INCONSISTENT_GROUP_PROTOCOL,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
}


_HOW_LONG = re.compile(r" \(after \d+ms in state \w+\)|; \d+ attempts? .*$")
_COUNT = re.compile(r"\d+/\d+ brokers are down")


def complaint(said: Iterable[str]) -> str:
    """The client's longest complaint, of many that tell the same: more to the point than the time-out that came of it.
    Empty if it had none."""
    complaints = [_HOW_LONG.sub("", text) for text in said if not _COUNT.fullmatch(text)]
    return max(complaints, key=len, default="").rstrip("?")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise the client's errors as the engine's: Misconfigured where no retry can help, TransientError otherwise."""
    try:
        yield
    except KafkaException as error:
        raise translate(error.args[0], doing) from error


def translate(error: KafkaError, doing: str) -> ConsumerError:
    kind = Misconfigured if error.code() in _CONFIGURATION else TransientError
    return kind(f"{doing}: {error.str() or error.name()}")
