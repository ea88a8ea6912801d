"""Lag and standing still, judged by a process's own report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from consumers.alerts import raise_alert
from consumers.core.alerting import AlertPolicy
from consumers.reporting.snapshot import ConsumerReport, ProcessReport
from consumers.settings import engine_settings

Finding = tuple[str, str, str, str]
"""Kind, key, title, detail."""


def judge(report: ProcessReport, using: str | None = None) -> int:
    """Raise an alert for each consumer of the process that is too far behind or settles nothing; returns how many."""
    policy = engine_settings().alert_policy()
    found: list[Finding] = []
    for consumer in report.consumers:
        behind = _behind(consumer)
        still = _settled_nothing_for(consumer, report.at, is_behind=bool(behind))
        found += findings(consumer, policy, report.host, behind, still)
    return sum(
        raise_alert(kind, key=key, title=title, detail=detail, using=using) for kind, key, title, detail in found
    )


def findings(
    consumer: ConsumerReport, policy: AlertPolicy, host: str, behind: Mapping[str, int], still: float
) -> Iterator[Finding]:
    """What is wrong with a consumer that has this lag, by partition, and has settled nothing for `still` seconds."""
    if consumer.state != "running":
        return
    key, lag = f"{consumer.group} on {host}", sum(behind.values())
    worst = ", ".join(f"{name} {number:,}" for name, number in sorted(behind.items(), key=lambda each: -each[1])[:5])
    if policy.lag and lag > policy.lag:
        title = f"{consumer.name} is {lag:,} records behind"
        yield "lag", key, title, f"Group {key}, most of it: {worst}"
    if policy.stall and still > policy.stall:
        title = f"{consumer.name} has settled nothing for {still:,.0f} s"
        yield "stall", key, title, f"Group {key}. Behind: {worst or 'not known'}.{_outages(consumer)}"


def _outages(consumer: ConsumerReport) -> str:
    held = f" An outage of the database holds it up: {consumer.holding}." if consumer.holding else ""
    return held + (f" The broker does not answer: {consumer.broker}." if consumer.broker else "")


_behind_since: dict[str, float] = {}
"""By group of this process: when it was first seen to have lag, if it has had some ever since."""


def _behind(consumer: ConsumerReport) -> dict[str, int]:
    """Lag by partition, without those that an operator has paused."""
    partitions = (each for each in consumer.partitions if each.lag and not each.operator_paused)
    return {f"{each.topic}[{each.partition}]": each.lag or 0 for each in partitions}


def _settled_nothing_for(consumer: ConsumerReport, at: float, *, is_behind: bool) -> float:
    """Seconds since anything was settled or, if that is shorter, since there has been something to settle."""
    if not is_behind:
        _behind_since.pop(consumer.group, None)
        return consumer.stands_still
    waited = at - _behind_since.setdefault(consumer.group, at)
    age = waited if consumer.settled_age is None else min(waited, consumer.settled_age)
    return max(age, consumer.stands_still)
