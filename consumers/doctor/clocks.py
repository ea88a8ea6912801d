"""Clocks: of this host, of the database, and those that stamp records. Ages and retries are told by comparing them."""

from __future__ import annotations

import time
from collections.abc import Iterator

from consumers.core.records import TopicPartition
from consumers.doctor.finding import Severity
from consumers.doctor.patient import Patient
from consumers.doctor.registry import Remark, check

SKEW = 2.0
"""Seconds that two clocks may differ before it shows."""
_NOW = "SELECT extract(epoch FROM clock_timestamp())::float8"


@check("clock of the database", "database")
def database_clock(patient: Patient) -> Iterator[Remark]:
    """It shows what ours shows, give or take the way there and back."""
    patient.query(_NOW)  # connects, so that the next one measures the way alone
    asked = time.time()
    [(shown,)] = patient.query(_NOW)
    answered = time.time()
    skew = shown - (asked + answered) / 2
    if abs(skew) > SKEW + (answered - asked) / 2:
        text = f"the database's clock is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} this host's"
        yield Severity.WARNING, f"{text}: retries come due at the wrong time", "Have both hosts follow NTP."
    else:
        yield Severity.OK, f"the database's clock and this host's agree to {abs(skew):.3f} s"


@check("clock of records", "broker")
def record_clock(patient: Patient) -> Iterator[Remark]:
    """No record is stamped in the future, by its producer or the broker."""
    ahead: tuple[float, TopicPartition] | None = None
    for name in patient.topics:
        topic = patient.cluster.topic(name)
        sources = [TopicPartition(name, number) for number in topic.partitions] if topic else []
        for source, stamped in patient.cluster.newest(sources).items():
            seconds = stamped / 1000 - time.time()
            if seconds > SKEW and (ahead is None or seconds > ahead[0]):
                ahead = seconds, source
    if ahead:
        text = f"{ahead[1]} holds a record stamped {ahead[0]:.0f} s in the future: freshness and retention are wrong"
        yield Severity.WARNING, text, "Have the producers' and the brokers' hosts follow NTP."
    else:
        yield Severity.OK, "no record is stamped in the future"
