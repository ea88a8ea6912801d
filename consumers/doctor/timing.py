"""Times that must not contradict each other: of the engine, of the group's protocol, and of the database's role."""

from __future__ import annotations

from collections.abc import Iterator

from consumers.core.errors import Misconfigured
from consumers.doctor.finding import Severity
from consumers.doctor.patient import Patient
from consumers.doctor.registry import Remark, check
from consumers.kafka.config import consumer_properties
from consumers.settings import EngineSettings

CHUNK_TIME = 60.0
"""Seconds that a large chunk on a slow day may take; a time-out of the server below that will strike one."""


@check("times")
def times(patient: Patient) -> Iterator[Remark]:
    """The poll interval against a revoke, the stuck timeout and the drain against a slow call of `process`."""
    remarks = [*_poll_interval(patient.settings), *_stuck(patient), *_drain(patient)]
    text = "the poll interval outlasts a revoke, and the stuck timeout the slowest call of process()"
    yield from remarks or [(Severity.OK, text)]


@check("statement times", "database")
def statement_times(patient: Patient) -> Iterator[Remark]:
    """What the role's own time-outs cut short is taken for an outage, and tried again for ever."""
    wrong = False
    for name in ("statement_timeout", "lock_timeout", "transaction_timeout"):
        seconds = _seconds(patient, name)
        if 0 < seconds < CHUNK_TIME:
            wrong = True
            mend = f"ALTER ROLE ... SET {name} = 0, or to more than {CHUNK_TIME:.0f} s, for the role of the consumers."
            yield Severity.WARNING, f"{name} is {seconds:g} s: a chunk that takes longer is repeated for ever", mend
    if not wrong:
        yield Severity.OK, "no time-out of the role strikes a chunk"


@check("session times", "broker")
def session_times(patient: Patient) -> Iterator[Remark]:
    """The broker bounds the session's length that a member may ask for."""
    if patient.settings.group_protocol != "classic":
        yield Severity.OK, "the broker sets the session's length (group.protocol=consumer)"
        return
    asked = int(consumer_properties(patient.settings, "doctor").get("session.timeout.ms", 45_000))
    config = patient.cluster.broker_config()
    low, high = (int(config.get(f"group.{which}.session.timeout.ms") or 0) for which in ("min", "max"))
    if high and not low <= asked <= high:
        text = f"the session.timeout.ms of {asked} is not within what the broker allows, {low} to {high}"
        yield Severity.ERROR, text, "Set session.timeout.ms in KAFKA_PROPERTIES to a value between."
    else:
        yield Severity.OK, f"the session's length of {asked / 1000:g} s is one that the broker allows"


def _poll_interval(settings: EngineSettings) -> Iterator[Remark]:
    try:
        properties = consumer_properties(settings, "doctor")
    except Misconfigured as error:
        yield Severity.ERROR, str(error), "Change the property in KAFKA_PROPERTIES, or the setting that it names."
        return
    interval = float(properties["max.poll.interval.ms"]) / 1000
    if interval > settings.stuck_timeout > 0:
        text = f"max.poll.interval.ms is {interval:g} s: a dead member's partitions may wait that long in a rebalance"
        yield Severity.INFO, text


def _stuck(patient: Patient) -> Iterator[Remark]:
    limit = patient.settings.stuck_timeout
    if not limit:
        yield (
            Severity.WARNING,
            "stuck_timeout is 0: a chunk that stands still holds its partitions for ever, and nobody is told",
            "Set CONSUMERS['stuck_timeout'] to some minutes.",
        )
        return
    for consumer in patient.consumers:
        if not consumer.handler_timeout or consumer.handler_timeout >= limit:
            longest = f"{consumer.handler_timeout:g} s" if consumer.handler_timeout else "any time"
            text = f"{consumer.name}: a call of process() may take {longest}"
            mend = f"Set handler_timeout of {consumer.name} below {limit:g}, or CONSUMERS['stuck_timeout'] above it."
            yield Severity.WARNING, f"{text}, but after {limit:g} s without progress the process stops", mend


def _drain(patient: Patient) -> Iterator[Remark]:
    limit = patient.settings.drain_timeout
    for consumer in patient.consumers:
        if consumer.handler_timeout > limit:
            text = f"{consumer.name}: process() may take {consumer.handler_timeout:g} s, a drain only {limit:g} s"
            yield Severity.WARNING, text, "Raise CONSUMERS['drain_timeout'], or lower the consumer's handler_timeout."


def _seconds(patient: Patient, name: str) -> float:
    """A time-out in force for our role; 0 where it is off, or where the server is too old to know it."""
    found = patient.query("SELECT setting::float8 / 1000 FROM pg_settings WHERE name = %s", name)
    return float(found[0][0]) if found else 0.0
