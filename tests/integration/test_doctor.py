"""The doctor at real servers: what it finds in tables, indexes, rights, the log, groups and clocks that are wrong."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from ads.consumers import ClickConsumer
from consumers.concurrency import Scope
from consumers.core.errors import Misconfigured
from consumers.core.records import TopicPartition
from consumers.doctor import Finding, Patient, Severity, clocks, database, examine, pool, rights, timing, topics
from consumers.doctor import tables as table_checks
from consumers.kafka.cluster import Cluster
from consumers.kafka.groups import BrokerView
from consumers.kafka.producer import RecordProducer
from consumers.models import PartitionLedger
from consumers.settings import EngineSettings, engine_settings
from tests.integration.engine import settings_with, wait_until
from tests.orders import OrderConsumer

pytestmark = pytest.mark.django_db


@pytest.fixture
def ill() -> Patient:
    """An installation with the advertising clicks alone."""
    return Patient(engine_settings(), [ClickConsumer])


def told(found: Any) -> list[tuple[Severity, str]]:
    return [(severity, " ".join(map(str, texts))) for severity, *texts in found]


def trouble(found: Any) -> str:
    return "\n".join(text for severity, text in told(found) if severity >= Severity.WARNING)


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@contextmanager
def role(*grants: str) -> Iterator[None]:
    """While the block lasts, the session is that of a role with these rights alone."""
    execute("CREATE ROLE doctor_poor", *(grant + " TO doctor_poor" for grant in grants), "SET LOCAL ROLE doctor_poor")
    yield
    execute("RESET ROLE")


def test_a_sound_database_has_nothing_but_good_findings(ill: Patient) -> None:
    for check in (database.database, database.migrations, rights.role_rights, table_checks.tables, pool.pool):
        assert {severity for severity, _ in told(check(ill))} == {Severity.OK}
    assert trouble(table_checks.indexes(ill)) == ""


def test_rights_that_are_missing_are_named_with_their_grant(ill: Patient) -> None:
    with role("GRANT SELECT ON ALL TABLES IN SCHEMA public"):
        text = trouble(rights.role_rights(ill))
    assert 'GRANT INSERT ON "ads_click" TO "doctor_poor";' in text
    assert "lacks INSERT, UPDATE, DELETE on" in text
    assert "consumers_partitionledger" in text
    assert "lacks SELECT" not in text


def test_a_role_that_may_not_make_the_stage_is_told(ill: Patient) -> None:
    name = connection.settings_dict["NAME"]
    execute(f'REVOKE TEMPORARY ON DATABASE "{name}" FROM PUBLIC')
    with role():
        assert f'GRANT TEMPORARY ON DATABASE "{name}" TO "doctor_poor";' in trouble(rights.role_rights(ill))


def test_a_key_without_its_index_is_an_error(ill: Patient) -> None:
    execute("ALTER TABLE ads_click DROP CONSTRAINT ads_click_pkey CASCADE")
    text = trouble(table_checks.indexes(ill))
    assert "no valid unique index on event_id, the key of clicks" in text


def test_an_index_over_a_part_of_the_rows_is_no_key(ill: Patient) -> None:
    execute(
        "ALTER TABLE ads_click DROP CONSTRAINT ads_click_pkey CASCADE",
        "CREATE UNIQUE INDEX partial ON ads_click (event_id) WHERE billable",
    )
    assert "no valid unique index on event_id" in trouble(table_checks.indexes(ill))


def test_an_unlogged_table_loses_rows(ill: Patient) -> None:
    execute("ALTER TABLE ads_click SET UNLOGGED")
    assert "ads_click is unlogged" in trouble(table_checks.tables(ill))


def test_a_missing_table_is_mended_by_migrate(ill: Patient) -> None:
    execute("ALTER TABLE ads_click RENAME TO elsewhere")
    assert "the table ads_click is missing Run manage.py migrate." in trouble(table_checks.tables(ill))


def test_migrations_that_are_pending_are_named(ill: Patient) -> None:
    execute("DELETE FROM django_migrations WHERE app = 'consumers' AND name = '0005_runs'")
    assert "consumers.0005_runs" in trouble(database.migrations(ill))


def test_a_time_out_of_the_role_that_strikes_chunks_is_named(ill: Patient) -> None:
    execute("SET LOCAL statement_timeout = '5s'", "SET LOCAL lock_timeout = '2min'")
    text = trouble(timing.statement_times(ill))
    assert "statement_timeout is 5 s" in text
    assert "lock_timeout" not in text


def test_a_read_only_role_is_an_error(ill: Patient) -> None:
    execute("SET LOCAL default_transaction_read_only = on")
    assert "read-only" in trouble(database.database(ill))


def test_a_pool_larger_than_the_server_is_an_error(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.DATABASES["default"]["OPTIONS"]["pool"], "max_size", 5000)
    text = trouble(pool.pool(Patient(EngineSettings(), [])))
    assert "may open 5000 connections" in text
    assert "DATABASE_POOL_SIZE" in text


def test_a_database_that_does_not_answer_is_one_error_and_the_rest_is_not_looked_at(ill: Patient) -> None:
    ill.__dict__["database_fault"] = "connection refused"
    ill.__dict__["broker_fault"] = "no route"
    found = {finding.subject: finding for finding in examine(ill)}
    errors = [subject for subject, finding in found.items() if finding.severity is Severity.ERROR]
    assert errors == ["database", "broker"]
    assert "connection refused" in found["database"].text
    assert found["rights"] == Finding(Severity.INFO, "rights", "not looked at: the database does not answer")


# ---- the broker -----------------------------------------------------------------------------------------------------


class Reading(OrderConsumer):
    """Its topics are set by the test."""

    topics: ClassVar[list[str]] = []


def reading(*names: str, **changes: Any) -> Patient:
    consumer = type("Reading", (Reading,), {"topics": list(names), "name": names[0]})
    return Patient(settings_with(**changes), [consumer])


def test_a_missing_topic_is_named_and_not_made(bootstrap_servers: str) -> None:
    name = f"no-such-{uuid.uuid4().hex}"
    ill = reading(name)
    for _ in range(2):
        assert f"topic {name} of {name} does not exist" in trouble(topics.topics(ill))
    assert trouble(clocks.record_clock(ill)) == ""
    with BrokerView(ill.settings, "doctor") as view, pytest.raises(Misconfigured, match="does not exist"):
        view.partitions(name)


def test_a_topics_settings_are_read(make_topic: Callable[..., str]) -> None:
    name = make_topic(2, **{"retention.ms": "60000", "unclean.leader.election.enable": "true"})
    text = trouble(topics.topics(reading(name)))
    assert f"topic {name} keeps records for 1 minutes" in text
    assert "unclean leader election" in text


def test_a_position_that_the_log_does_not_hold_is_an_error(make_topic: Callable[..., str]) -> None:
    name = make_topic()
    PartitionLedger.objects.create(
        group=name, topic=name, partition=0, next_offset=50, counted_to=50, received=50, written=50
    )
    text = trouble(topics.retention(reading(name)))
    assert f"{name}[0]: group {name} is to read offset 50 next, and the log ends at 0: it was made anew" in text
    assert "manage.py seek" in text


def test_a_record_from_the_future_tells_of_a_clock_that_is_wrong(
    make_topic: Callable[..., str], producer: RecordProducer
) -> None:
    name = make_topic(2)
    now = round(time.time() * 1000)
    producer.send(name, b"1", partition=0, timestamp=now)
    producer.flush()
    assert trouble(clocks.record_clock(reading(name))) == ""
    producer.send(name, b"1", partition=1, timestamp=now + 3_600_000)
    producer.flush()
    assert f"{name}[1] holds a record stamped 3" in trouble(clocks.record_clock(reading(name)))


def test_a_broker_that_is_not_there_is_told_with_the_clients_own_words() -> None:
    fault = Patient(settings_with(bootstrap_servers="no-such-host.invalid:9092"), []).broker_fault
    assert "no-such-host.invalid" in fault
    assert "brokers are down" not in fault


def test_a_live_group_is_seen_with_its_members(make_topic: Callable[..., str]) -> None:
    from consumers.kafka.config import consumer_properties
    from consumers.kafka.source import KafkaSource

    name = make_topic(2)
    settings = engine_settings()
    cluster = Cluster(settings)
    assert cluster.group(name) is None or cluster.group(name).members == []  # type: ignore[union-attr]
    source = KafkaSource([name], consumer_properties(settings, name), 5.0)
    with Scope() as scope:
        source.open(Listener(), scope.spawn)
        wait_until(lambda: source.poll(1, 1024, 0.05).assigned, "assigned")
        group = cluster.group(name)
        scope.cancel()
    source.close()
    assert group is not None
    assert (group.kind, group.state, group.assignor) == ("classic", "stable", "cooperative-sticky")
    assert [held for _, held in group.members] == [2]


class Listener:
    """Lets go of nothing."""

    def revoked(self, sources: Any) -> dict[TopicPartition, int]:
        return {}

    def lost(self, sources: Any) -> None:
        pass


# ---- the command ----------------------------------------------------------------------------------------------------


def doctor(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", *arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().out


def test_the_command_prints_findings_as_json(capsys: pytest.CaptureFixture[str], bootstrap_servers: str) -> None:
    code, out = doctor(capsys, "clicks", "--json")
    told = json.loads(out)
    assert set(told) == {"worst", "findings"}
    assert all(set(each) == {"severity", "subject", "text", "mend"} for each in told["findings"])
    assert code == {"ok": 0, "info": 0, "warning": 1, "error": 2}[told["worst"]]
    assert all(each["mend"] for each in told["findings"] if each["severity"] in ("warning", "error"))


def test_the_command_prints_what_to_mend(
    capsys: pytest.CaptureFixture[str], bootstrap_servers: str, registered: Callable[[type], type]
) -> None:
    class Missing(OrderConsumer):
        name = "missing"
        topics: ClassVar[list[str]] = ["no-such-topic-at-all"]

    registered(Missing)
    code, out = doctor(capsys, "missing")
    assert code == 2
    assert "ERROR   topics: topic no-such-topic-at-all of missing does not exist\n          mend: Create it" in out


def test_the_command_refuses_an_unknown_consumer() -> None:
    with pytest.raises(CommandError, match="no consumer is registered as 'klicks'"):
        call_command("doctor", "klicks")
