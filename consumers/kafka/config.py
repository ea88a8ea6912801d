"""Properties of the client: what the engine needs, what the user gave, and what the two must not disagree on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consumers.core.errors import Misconfigured
from consumers.settings import EngineSettings

# The engine's delivery contract rests on these.
_FIXED = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
}

_DEFAULTS = {
    "auto.offset.reset": "earliest",
    "statistics.interval.ms": 0,
    "queued.min.messages": 10_000,
    "queued.max.messages.kbytes": 16 * 1024,
    "fetch.message.max.bytes": 1024 * 1024,
    "fetch.wait.max.ms": 100,
    # A partition whose queue is full is asked for again after this time. By default that is a second, in which a fast
    # consumer has long emptied a queue as short as ours and waits: 16,000 rows/s instead of 52,000.
    "fetch.queue.backoff.ms": 20,
    # Also what the coordinator waits, in a rebalance, for members that are no more and that it has lost track of in a
    # crash of its own. The engine polls all the time; only a revoke keeps it from that, for `revoke_timeout`.
    "max.poll.interval.ms": 60_000,
    "socket.keepalive.enable": True,
    "reconnect.backoff.max.ms": 2_000,
    "enable.metrics.push": False,
}

# A member's death costs its partitions a session's length. The client's own 45 s protect against a zombie that goes on
# writing; here the ledger does, so that the session may be short: long enough for a pause of the machine, no more.
_CLASSIC = {"partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": 10_000}


def consumer_properties(settings: EngineSettings, group: str) -> dict[str, Any]:
    """Everything that a member of `group` is made with.

    Raises:
        Misconfigured: a property of the user's would break the delivery contract, or the group protocol is unknown.
    """
    if settings.group_protocol not in ("classic", "consumer"):
        raise Misconfigured(f"KAFKA_GROUP_PROTOCOL must be classic or consumer, not {settings.group_protocol!r}")
    for name, value in _FIXED.items():
        if name in settings.properties and settings.properties[name] != value:
            raise Misconfigured(f"the property {name} must stay {value}: the ledger decides what is committed")
    strategy = settings.properties.get("partition.assignment.strategy", "cooperative-sticky")
    if strategy != "cooperative-sticky":
        raise Misconfigured(f"partition.assignment.strategy must be cooperative-sticky, not {strategy!r}")
    _check_interval({**_DEFAULTS, **settings.properties}["max.poll.interval.ms"], settings.revoke_timeout)
    protocol = _CLASSIC if settings.group_protocol == "classic" else {"group.protocol": "consumer"}
    return {**_DEFAULTS, **protocol, **client_properties(settings), **_FIXED, "group.id": group}


def _check_interval(milliseconds: Any, revoke_timeout: float) -> None:
    """A revoke may keep the client from polling for `revoke_timeout`, and some; not a number is the client's to say."""
    if isinstance(milliseconds, int) and milliseconds < (revoke_timeout + 10) * 1000:
        raise Misconfigured(
            f"the property max.poll.interval.ms = {milliseconds} is too short for a revoke_timeout of "
            f"{revoke_timeout:g} s: make it {(revoke_timeout + 10) * 1000:.0f} at least, or revoke_timeout shorter"
        )


def client_properties(settings: EngineSettings) -> dict[str, Any]:
    """What any client needs to reach the broker."""
    return {"bootstrap.servers": settings.bootstrap_servers, **settings.properties}


def only_for_producers(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The user's properties without those that only consumers know; the client warns about them."""
    consumer_only = (
        "group.",
        "partition.assignment",
        "session.timeout",
        "heartbeat.",
        "max.poll.",
        "fetch.",
        "queued.",
    )
    return {name: value for name, value in properties.items() if not name.startswith((*consumer_only, "auto.offset"))}
