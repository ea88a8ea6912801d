"""Deleting failed records that ended long ago."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.utils import timezone

from consumers.inbox import retention
from consumers.inbox.ending import end_pending
from consumers.inbox.rollup import roll_up
from consumers.models import Alert, FailedRecord, FailureGroup, FailureNote
from tests.integration.inbox import fail, group, records, taken_up

pytestmark = pytest.mark.django_db


def ended(number: int, status: str, *, days: float, kind: int = 1) -> None:
    """Store failed records that ended so many days ago."""
    fail(number, kind=kind)
    pending = records(kind).filter(status="pending")
    ids = list(pending.values_list("pk", flat=True))
    end_pending(pending, FailedRecord.Status(status), by="test")
    FailedRecord.objects.filter(pk__in=ids).update(resolved_at=timezone.now() - timedelta(days=days))


def prune(**options: Any) -> dict[str, int]:
    out = StringIO()
    call_command("prune_failures", json=True, stdout=out, **options)
    found: dict[str, int] = json.loads(out.getvalue())
    return found


def left(kind: int = 1) -> list[str]:
    return sorted(records(kind).values_list("status", flat=True))


def test_what_ended_longer_ago_than_the_settings_say_is_deleted() -> None:
    ended(2, "resolved", days=31)
    ended(3, "resolved", days=29)
    ended(4, "discarded", days=91)
    ended(5, "discarded", days=89)
    assert prune() == {"resolved": 2, "discarded": 4, "groups": 0, "alerts": 0}
    assert left() == ["discarded"] * 5 + ["resolved"] * 3


def test_pending_records_are_never_deleted() -> None:
    fail(2)
    records().update(resolved_at=timezone.now() - timedelta(days=900), first_failed_at="2001-01-01T00:00Z")
    assert prune(older_than=1)["resolved"] == 0
    assert left() == ["pending"] * 2


def test_the_numbers_of_the_groups_follow() -> None:
    ended(4, "resolved", days=31)
    fail(1)
    taken_up()
    assert (group().resolved, group().pending) == (4, 1)
    prune()
    assert (group().resolved, group().pending, group().count) == (0, 1, 5)


def test_more_than_a_batch_is_deleted_with_its_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    ended(10, "resolved", days=31)
    FailureNote.objects.create(record=records().first(), text="about it")
    assert prune()["resolved"] == 10
    assert left() == []
    assert not FailureNote.objects.filter(text="about it").exists()


def test_a_dry_run_deletes_nothing_and_tells_the_same() -> None:
    ended(3, "resolved", days=31)
    told = prune(dry_run=True)
    assert left() == ["resolved"] * 3
    assert told == prune()


def test_older_than_takes_the_place_of_both_settings() -> None:
    ended(1, "resolved", days=8)
    ended(1, "discarded", days=8)
    assert prune(older_than=9)["resolved"] == 0
    assert prune(older_than=7) == {"resolved": 1, "discarded": 1, "groups": 0, "alerts": 0}


def test_zero_days_keep_for_ever(settings: Any) -> None:
    settings.CONSUMERS = settings.CONSUMERS | {"keep_resolved_days": 0, "keep_discarded_days": 0}
    ended(1, "resolved", days=9_000)
    ended(1, "discarded", days=9_000)
    assert prune() == {"resolved": 0, "discarded": 0, "groups": 0, "alerts": 0}


def test_an_empty_group_is_remembered_for_a_year_so_that_its_coming_back_is_noticed() -> None:
    ended(1, "resolved", days=40)
    taken_up()
    prune()
    assert group().status == "resolved"
    FailureGroup.objects.update(last_seen=timezone.now() - timedelta(days=366))
    assert prune()["groups"] == 1
    assert not FailureGroup.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_old_group_in_which_a_roll_up_is_just_counting_a_failure_is_not_deleted() -> None:
    ended(1, "resolved", days=400)
    taken_up()
    prune()
    FailureGroup.objects.update(last_seen=timezone.now() - timedelta(days=366))
    fail()
    found: list[int] = []

    def prune_beside() -> None:
        found.append(prune()["groups"])
        connections.close_all()

    beside = threading.Thread(target=prune_beside)
    with transaction.atomic():
        assert roll_up("default") == 1
        beside.start()
        beside.join(1)
    beside.join()
    assert found == [0]
    assert (group().pending, group().count) == (1, 2)


def test_a_group_with_records_or_in_the_archive_is_kept_however_old() -> None:
    fail(1, kind=1)
    ended(1, "discarded", days=1, kind=2)
    ended(1, "resolved", days=400, kind=3)
    taken_up()
    FailureGroup.objects.filter(pk=group(3).pk).update(status="archived")
    FailureGroup.objects.update(last_seen=timezone.now() - timedelta(days=900))
    assert prune()["groups"] == 0


def test_old_alerts_are_deleted() -> None:
    now = timezone.now()
    for days in (10, 100):
        Alert.objects.create(kind="lag", key="k", title="t", at=now - timedelta(days=days))
    assert prune()["alerts"] == 1


def test_a_number_of_days_that_makes_no_sense_is_refused(settings: Any) -> None:
    settings.CONSUMERS = settings.CONSUMERS | {"keep_resolved_days": -1}
    with pytest.raises(CommandError, match="keep_resolved_days must be a whole number of days"):
        prune()


def test_the_result_is_told_in_words() -> None:
    ended(1, "resolved", days=31)
    out = StringIO()
    call_command("prune_failures", "--dry-run", stdout=out)
    assert out.getvalue().startswith("Dry run, nothing was deleted: 1 resolved and 0 discarded failed records")


def test_what_the_inbox_noted_is_forgotten_in_time_and_what_people_said_is_not() -> None:
    fail()
    for by in ("", "ann"):
        FailureNote.objects.create(group=group(), by=by, kind="status", text=by or "inbox")
    FailureNote.objects.update(at=timezone.now() - timedelta(days=100))
    prune()
    assert list(FailureNote.objects.values_list("text", flat=True)) == ["ann"]
