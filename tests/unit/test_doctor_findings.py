"""The doctor without servers: its exit code, what it hides, and what it says of settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from consumers.core.errors import TransientError
from consumers.core.hosts import is_loopback
from consumers.doctor import (
    Finding,
    Patient,
    Severity,
    alerts,
    broker,
    examine,
    exit_code,
    groups,
    project,
    timing,
    topics,
)
from consumers.doctor.registry import ORDER, Check, checks
from consumers.kafka.cluster import Group, Topic
from consumers.settings import EngineSettings
from tests.orders import OrderConsumer

OK, INFO, WARNING, ERROR = Severity


def patient(consumer: Any = OrderConsumer, **changes: Any) -> Patient:
    return Patient(EngineSettings(**changes), [consumer])


def worst(found: Iterator[Any]) -> Severity:
    return Severity(max(severity for severity, *_ in found))


def text(found: Iterator[Any]) -> str:
    return "\n".join(str(part) for remark in found for part in remark[1:])


@pytest.mark.parametrize(
    ("severities", "code"), [([], 0), ([OK], 0), ([OK, INFO], 0), ([WARNING, INFO], 1), ([OK, ERROR, WARNING], 2)]
)
def test_the_gravest_finding_decides_the_exit_code(severities: list[Severity], code: int) -> None:
    assert exit_code(Finding(severity, "x", "y") for severity in severities) == code


def test_all_checks_have_their_place() -> None:
    assert [check.subject for check in checks()] == list(ORDER)


def test_a_check_that_fails_is_a_finding_and_the_others_go_on() -> None:
    def fails(patient: Patient) -> Iterator[Any]:
        raise TransientError("no answer")
        yield

    def works(patient: Patient) -> Iterator[Any]:
        yield OK, "fine"

    found = examine(patient(), [Check("one", (), fails), Check("two", (), works)])
    assert [(each.severity, each.subject) for each in found] == [(ERROR, "one"), (OK, "two")]
    assert "no answer" in found[0].text


def test_no_secret_is_told_wherever_its_text_comes_from(settings: Any) -> None:
    settings.SECRET_KEY = "sesame-sesame"
    ill = patient(properties={"sasl.password": "hunter2", "ssl.key.password": "swordfish", "client.id": "shown"})
    said = f"hunter2 swordfish {settings.SECRET_KEY} shown"

    def tells(patient: Patient) -> Iterator[Any]:
        yield WARNING, said, said

    [found] = examine(ill, [Check("one", (), tells)])
    assert found.text == found.mend == "*** *** *** shown"


# ---- settings -------------------------------------------------------------------------------------------------------


def test_unsafe_project_settings_are_named(settings: Any) -> None:
    settings.DEBUG, settings.SECRET_KEY, settings.ALLOWED_HOSTS = True, "django-insecure-x", ["*"]
    found = list(project.project(patient()))
    assert [severity for severity, *_ in found] == [WARNING] * 3
    assert all(name in text(iter(found)) for name in ("DEBUG", "SECRET_KEY", "ALLOWED_HOSTS"))


def test_safe_project_settings_are_fine(settings: Any) -> None:
    settings.DEBUG, settings.SECRET_KEY, settings.ALLOWED_HOSTS = False, "k" * 60, ["example.org"]
    assert worst(project.project(patient())) is OK


class SlowConsumer(OrderConsumer):
    handler_timeout = 400.0


class EndlessConsumer(OrderConsumer):
    handler_timeout = 0.0


@pytest.mark.parametrize(
    ("consumer", "changes", "severity", "words"),
    [
        (OrderConsumer, {}, OK, ["outlasts"]),
        (SlowConsumer, {}, WARNING, ["may take 400 s", "stuck_timeout", "a drain only 60 s"]),
        (EndlessConsumer, {}, WARNING, ["may take any time"]),
        (OrderConsumer, {"stuck_timeout": 0}, WARNING, ["stuck_timeout is 0"]),
        (OrderConsumer, {"revoke_timeout": 55}, ERROR, ["max.poll.interval.ms", "too short"]),
        (OrderConsumer, {"properties": {"max.poll.interval.ms": 400_000}}, INFO, ["max.poll.interval.ms is 400 s"]),
        (OrderConsumer, {"properties": {"enable.auto.commit": True}}, ERROR, ["enable.auto.commit"]),
    ],
)
def test_times_that_contradict_each_other_are_named(
    consumer: Any, changes: dict[str, Any], severity: Severity, words: list[str]
) -> None:
    found = list(timing.times(patient(consumer, **changes)))
    assert worst(iter(found)) is severity
    assert all(word in text(iter(found)) for word in words)


# ---- alerts ---------------------------------------------------------------------------------------------------------


SIGNED: dict[str, Any] = {
    "webhook": "https://hooks.example.org/x",
    "webhook_secret": "s3cret",
    "site": "https://ops.example.org",
}


@pytest.mark.parametrize(
    ("policy", "severity", "word"),
    [
        ({}, INFO, "no e-mail, no webhook"),
        (SIGNED, OK, "signal, webhook"),
        (SIGNED | {"webhook": "http://hooks.example.org/x"}, WARNING, "without TLS"),
        (SIGNED | {"site": ""}, WARNING, "without its address"),
        (SIGNED | {"webhook_secret": ""}, ERROR, "webhook_secret"),
        ({"emails": ["a@example.org"], "site": "https://ops.example.org"}, WARNING, "may send nothing"),
        ({"no_such": 1}, ERROR, "alerts must have keys"),
    ],
)
def test_alerts_that_nobody_hears_are_named(policy: dict[str, Any], severity: Severity, word: str) -> None:
    found = list(alerts.alerts(patient(alerts=policy)))
    assert worst(iter(found)) is severity
    assert word in text(iter(found))
    assert "s3cret" not in text(iter(found))


# ---- TLS ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("servers", "properties", "severity", "word"),
    [
        ("127.0.0.1:9092", {}, OK, "this machine"),
        ("localhost:9092,[::1]:9093", {}, OK, "this machine"),
        ("127.0.0.1:9092,kafka.example.org:9092", {}, WARNING, "in clear"),
        ("kafka:9092", {"security.protocol": "SASL_PLAINTEXT"}, ERROR, "password"),
        ("kafka:9092", {"security.protocol": "SASL_SSL"}, OK, "certificate checked"),
        (
            "kafka:9092",
            {"security.protocol": "ssl", "enable.ssl.certificate.verification": False},
            WARNING,
            "does not check",
        ),
        (
            "kafka:9092",
            {"security.protocol": "ssl", "ssl.endpoint.identification.algorithm": "none"},
            WARNING,
            "does not check",
        ),
    ],
)
def test_a_broker_in_clear_or_unchecked_is_named(
    servers: str, properties: dict[str, Any], severity: Severity, word: str
) -> None:
    found = list(broker.encryption(patient(bootstrap_servers=servers, properties=properties)))
    assert worst(iter(found)) is severity
    assert word in text(iter(found))


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *(("", True), ("/run/postgresql", True), ("127.8.0.1", True), ("[::1]", True), ("Demo.localhost", True)),
        *(("db", False), ("10.0.0.1", False), ("localhost.example.org", False), ("*", False)),
    ],
)
def test_loopback_and_sockets_are_local(host: str, local: bool) -> None:
    assert is_loopback(host) is local


# ---- topics and groups, as a cluster tells of them ------------------------------------------------------------------


class ToldCluster:
    """What a cluster would answer."""

    def __init__(self, topic: Topic | None, group: Group | None = None, brokers: int = 3) -> None:
        self._topic, self._group, self._brokers = topic, group, brokers

    def brokers(self) -> list[int]:
        return list(range(self._brokers))

    def topic(self, name: str) -> Topic | None:
        return self._topic

    def group(self, name: str) -> Group | None:
        return self._group


WELL: dict[str, str] = {"min.insync.replicas": "2", "retention.ms": "604800000", "cleanup.policy": "delete"}


def topic_of(*partitions: tuple[int, int], **config: str) -> Topic:
    return Topic("orders", dict(enumerate(partitions or [(3, 3), (3, 3)])), WELL | config)


def with_cluster(cluster: ToldCluster, **changes: Any) -> Patient:
    made = patient(**changes)
    made.__dict__["cluster"] = cluster
    return made


@pytest.mark.parametrize(
    ("topic", "severity", "words"),
    [
        (topic_of(), OK, ["has 2 partitions"]),
        (None, ERROR, ["does not exist"]),
        (topic_of((1, 1), (1, 1)), WARNING, ["has one replica"]),
        (topic_of((3, 3), (3, 2)), WARNING, ["partitions 1 are out of sync"]),
        (topic_of(**{"min.insync.replicas": "3"}), WARNING, ["with one broker down"]),
        (topic_of(**{"min.insync.replicas": "1"}), WARNING, ["one broker alone"]),
        (topic_of(**{"unclean.leader.election.enable": "true"}), WARNING, ["unclean"]),
        (topic_of(**{"retention.ms": "3600000"}), WARNING, ["1.0 hours"]),
        (topic_of(**{"retention.ms": "-1"}), OK, []),
        (topic_of(**{"retention.bytes": "1000000"}), OK, ["cut by size"]),
        (topic_of(**{"cleanup.policy": "compact", "retention.ms": "1"}), OK, ["compacted"]),
        (topic_of((3, 3)), OK, ["1 partitions for 2 lanes"]),
        (topic_of(**{"max.message.bytes": "99999999"}), OK, ["too_large"]),
    ],
)
def test_a_topic_that_may_lose_records_is_named(topic: Topic | None, severity: Severity, words: list[str]) -> None:
    found = list(topics.topics(with_cluster(ToldCluster(topic), lanes=2)))
    assert {WARNING, ERROR} & {s for s, *_ in found} == ({severity} - {OK})
    assert all(word in text(iter(found)) for word in words)


def test_one_replica_on_a_single_broker_is_only_told() -> None:
    found = list(topics.topics(with_cluster(ToldCluster(topic_of((1, 1)), brokers=1))))
    assert worst(iter(found)) is INFO


STABLE = Group("classic", "stable", "cooperative-sticky", [("one on /10.0.0.1", 2)])


@pytest.mark.parametrize(
    ("group", "severity", "words"),
    [
        (None, INFO, ["nobody consumes orders"]),
        (STABLE, OK, ["one on /10.0.0.1"]),
        (replace(STABLE, kind="consumer", assignor="uniform"), ERROR, ["KAFKA_GROUP_PROTOCOL=consumer"]),
        (replace(STABLE, assignor="range"), ERROR, ["range", "cooperative-sticky only"]),
        (replace(STABLE, state="preparing_rebalancing"), INFO, ["rebalancing"]),
        (replace(STABLE, members=[(f"m{n}", int(n < 2)) for n in range(3)]), WARNING, ["3 members for 2 partitions"]),
    ],
)
def test_a_group_that_a_member_of_ours_cannot_join_is_named(
    group: Group | None, severity: Severity, words: list[str]
) -> None:
    found = list(groups.groups(with_cluster(ToldCluster(topic_of(), group))))
    assert worst(iter(found)) is severity
    assert all(word in text(iter(found)) for word in words)


class NamedConsumer(OrderConsumer):
    topics: ClassVar[list[str]] = ["orders", "returns"]


def test_a_prefix_comes_before_every_topic() -> None:
    assert patient(NamedConsumer, topic_prefix="staging.").topics == ["staging.orders", "staging.returns"]
