"""Retry runs: frozen, ramped, paused by themselves, never doubled, and none the worse for a worker that dies."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.utils import timezone

from consumers.core.errors import TransientError
from consumers.inbox.runs import orders, work
from consumers.inbox.runs.selection import BadSelection, FrozenSelection, freeze
from consumers.inbox.runs.standing import standing_of
from consumers.inbox.runs.work import work_one_slice
from consumers.models import (
    FailedAttempt,
    FailedRecord,
    FailureEdit,
    FailureGroup,
    FailureNote,
    RetryProgress,
    RetryRun,
)
from consumers.pipeline.failed_progress import FailedRecordProgress
from tests.integration.retry_runs import Teams, counts, progress, start, state, team, teams, work_off

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def consumer(registered: Callable[[type], type]) -> type:
    return registered(Teams)


def test_a_run_attempts_1_then_5_then_50_records_and_ends() -> None:
    for number in range(30):
        team(f"team {number}")
    run = start()
    sizes = []
    before = 0
    while work_one_slice():
        sizes.append(progress(run).succeeded - before)
        before += sizes[-1]
    assert sizes == [1, 5, 24, 0]
    assert (state(run), counts(run)) == ("done", (30, 0, 0))
    assert len(teams()) == 30
    assert not FailedRecord.objects.exclude(status="resolved", resolved_by=f"ada (run {run.pk})").exists()


def test_what_fails_after_the_start_is_not_touched() -> None:
    team("early")
    run = start()
    team("late")
    work_off()
    assert teams() == {"early"}
    assert counts(run) == (1, 0, 0)


def test_only_what_meets_the_frozen_conditions_is_attempted() -> None:
    team("wanted", reason="conflict")
    team("other", reason="invalid")
    work_off_run = start(lookups={"reason": "conflict"})
    work_off()
    assert (teams(), counts(work_off_run)) == ({"wanted"}, (1, 0, 0))


def test_a_condition_that_cannot_be_frozen_is_refused() -> None:
    with pytest.raises(BadSelection, match="status__in"):
        freeze({"status__in": ["resolved"]}, "", "default")


def test_a_run_pauses_when_the_first_record_fails_again_and_says_why() -> None:
    for number in range(10):
        team(f"bad {number}")
    run = start()
    assert work_off() == 1
    assert (state(run), counts(run)) == ("paused", (0, 1, 0))
    assert run.state_reason == "1 of 1 records failed again in a step of 1, more than 50%; most often: bad_name"
    assert run.state_by == "the run itself"
    assert progress(run).by_reason == {"bad_name": 1}


def test_a_resumed_run_goes_on_behind_what_it_has_attempted_and_is_judged_again() -> None:
    for name in ("bad 1", "good 1", "good 2", "bad 2", "bad 3", "bad 4", "good 3"):
        team(name)
    run = start()
    work_off()
    assert orders.resume(run, by="bob")
    work_off()
    assert (state(run), counts(run)) == ("paused", (3, 4, 0))
    orders.resume(run, by="bob")
    work_off()
    assert (state(run), counts(run)) == ("done", (3, 4, 0))
    assert FailedAttempt.objects.filter(run=run).count() == 7
    assert set(FailedRecord.objects.values_list("attempts", flat=True)) == {2}


def test_a_share_that_is_allowed_pauses_nothing() -> None:
    for name in ("bad 1", "bad 2", "good 1"):
        team(name)
    run = start(pause_above=1.0)
    work_off()
    assert (state(run), counts(run)) == ("done", (1, 2, 0))


def test_a_paused_and_a_cancelled_run_are_not_worked_on() -> None:
    team("one")
    paused, cancelled = start(), start()
    assert orders.pause(paused, by="bob", reason="wait")
    assert orders.cancel(cancelled, by="bob")
    assert work_off() == 0
    assert (state(paused), state(cancelled), teams()) == ("paused", "cancelled", set())
    assert not orders.resume(cancelled, by="bob")
    assert not orders.pause(cancelled, by="bob")
    assert not orders.cancel(cancelled, by="bob")
    assert orders.resume(paused, by="bob")
    work_off()
    assert teams() == {"one"}


def test_two_runs_take_turns_and_none_attempts_what_the_other_has_resolved() -> None:
    for number in range(20):
        team(f"team {number}")
    runs = [start(), start()]
    work_off()
    assert [state(run) for run in runs] == ["done", "done"]
    assert sum(progress(run).succeeded for run in runs) == 20
    assert FailedAttempt.objects.filter(succeeded=True).count() == 20
    assert standing_of(runs[0], "default").left == 0


def test_the_rate_bounds_what_is_attempted_at_once_and_delays_the_next_slice() -> None:
    for number in range(20):
        team(f"team {number}")
    run = start(rate=2.0, ramp=(50,))
    began = timezone.now()
    while work_one_slice():  # a second's worth of time that has passed may be made up for
        assert progress(run).succeeded <= 6
    assert 2 <= progress(run).succeeded <= 6
    assert progress(run).due_at > began
    RetryProgress.objects.update(due_at=timezone.now())
    before = progress(run).succeeded
    assert work_one_slice()
    assert progress(run).succeeded == before + 2


def test_a_run_whose_consumer_is_gone_pauses_and_names_it() -> None:
    team("one", consumer="gone")
    run = start()
    work_off()
    assert state(run) == "paused"
    assert "no consumer is registered as 'gone'" in run.state_reason
    assert counts(run) == (0, 0, 0)


def test_a_run_whose_consumer_raises_what_no_record_is_to_blame_for_pauses_with_nothing_settled() -> None:
    team("one")
    team("fatal")
    run = start(ramp=(50,))
    work_off()
    assert state(run) == "paused"
    assert "a rejected credential" in run.state_reason
    assert teams() == set()
    assert not FailedAttempt.objects.exists()


def test_an_outage_changes_nothing_and_the_next_worker_begins_the_slice_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from django.db import OperationalError

    team("one")
    run = start()
    finish = FailedRecordProgress.finish

    def gone(*args: object) -> None:
        raise OperationalError("the connection is lost")

    monkeypatch.setattr(FailedRecordProgress, "finish", gone)
    with pytest.raises(TransientError, match="connection is lost"):
        work_one_slice()
    assert (state(run), counts(run)) == ("queued", (0, 0, 0))
    monkeypatch.setattr(FailedRecordProgress, "finish", finish)
    work_off()
    assert (state(run), teams()) == ("done", {"one"})


def test_a_run_says_that_nobody_works_on_it_and_how_to_change_that() -> None:
    team("one")
    run = start()
    now = timezone.now()
    assert standing_of(run, "default").text(now) == "Waiting for a worker."
    later = now + datetime.timedelta(minutes=1)
    assert standing_of(run, "default").nobody_works(later)
    assert "manage.py reprocess_failures --watch" in standing_of(run, "default").text(later)
    work_off()
    run.refresh_from_db()
    assert not standing_of(run, "default").nobody_works(later)


def test_a_run_over_nothing_is_done_at_once() -> None:
    run = start()
    work_off()
    standing = standing_of(RetryRun.objects.get(pk=run.pk), "default")
    assert (standing.run.state, standing.per_cent, standing.left) == ("done", 100, 0)


def test_the_frozen_selection_is_read_back_as_it_was_stored() -> None:
    run = start(lookups={"reason": "conflict", "pk__in": [1, 2]})
    run.refresh_from_db()
    assert FrozenSelection.of(run).lookups == {"reason": "conflict", "pk__in": [1, 2]}


def test_a_run_over_a_group_is_noted_in_the_groups_history() -> None:
    now = timezone.now()
    same = {"fingerprint": "f" * 16, "reason": "bad", "first_seen": now, "last_seen": now}
    ours = FailureGroup.objects.create(consumer="admin-test", **same)
    FailureGroup.objects.create(consumer="another", **same)
    run = start(lookups={"consumer": "admin-test", "fingerprint": "f" * 16})
    start(lookups={"reason": "bad"})
    note = FailureNote.objects.get()
    assert (note.group_id, note.kind, note.by) == (ours.pk, "retry", "ada")
    assert note.text == f"Run {run.pk} started: it is mended"


def test_an_edited_record_is_retried_with_the_edit() -> None:
    record = team("bad")
    FailureEdit.objects.create(record=record, value=b'{"name": "mended"}', diff="", reason="", by="bob")
    run = start()
    work_off()
    assert (state(run), teams()) == ("done", {"mended"})


def test_an_order_that_comes_while_a_worker_takes_the_run_stands() -> None:
    team("one")
    run = start()

    def ordering(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if "FOR UPDATE" in sql and "retryprogress" in sql:
            RetryRun.objects.update(state="paused")
        return result

    with connection.execute_wrapper(ordering):
        assert not work_one_slice()
    assert (state(run), teams()) == ("paused", set())


# ---- several workers ------------------------------------------------------------------------------------------------


def in_threads(*tasks: Callable[[], object]) -> None:
    errors: list[BaseException] = []

    def guarded(task: Callable[[], object]) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=guarded, args=[task]) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


@pytest.mark.usefixtures("committed")
def test_two_workers_never_attempt_a_record_twice() -> None:
    for number in range(120):
        team(f"team {number}", partition=number % 3)
    runs = [start(ramp=(7,)), start(ramp=(5,))]

    def worker() -> None:
        while RetryRun.objects.filter(state__in=RetryRun.ACTIVE).exists():
            work_one_slice()

    in_threads(worker, worker, worker)
    assert [state(run) for run in runs] == ["done", "done"]
    assert sum(progress(run).succeeded for run in runs) == 120
    assert Group.objects.count() == 120
    assert FailedAttempt.objects.count() == 120
    assert set(FailedRecord.objects.values_list("attempts", flat=True)) == {2}


@pytest.mark.usefixtures("committed")
def test_an_order_to_pause_does_not_wait_for_the_worker_and_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        team(f"team {number}")
    run = start(ramp=(2,))
    in_slice, ordered = threading.Event(), threading.Event()
    attempt = work.Slice._attempt

    def slowly(self: work.Slice, ids: list[int]) -> object:
        result = attempt(self, ids)
        in_slice.set()
        assert ordered.wait(30)
        return result

    monkeypatch.setattr(work.Slice, "_attempt", slowly)

    def order() -> None:
        assert in_slice.wait(30)
        assert standing_of(RetryRun.objects.get(pk=run.pk), "default").in_hand
        assert not work_one_slice()  # no second worker gets in
        assert orders.pause(RetryRun.objects.get(pk=run.pk), by="bob", reason="enough")
        ordered.set()

    in_threads(lambda: work_one_slice(), order)
    assert (state(run), run.state_by, counts(run)) == ("paused", "bob", (2, 0, 0))
    assert not work_one_slice()


@pytest.mark.usefixtures("committed")
def test_records_in_the_hands_of_another_process_are_skipped_and_counted() -> None:
    held, free = team("held"), team("free")
    run = start(ramp=(50,))
    locked, worked = threading.Event(), threading.Event()

    def other() -> None:
        with transaction.atomic():
            FailedRecord.objects.select_for_update().get(pk=held.pk)
            locked.set()
            assert worked.wait(30)

    def worker() -> None:
        assert locked.wait(30)
        work_off()
        worked.set()

    in_threads(other, worker)
    assert (state(run), counts(run)) == ("done", (1, 0, 1))
    assert standing_of(run, "default").passed_over == 1
    held.refresh_from_db()
    free.refresh_from_db()
    assert (held.status, free.status) == ("pending", "resolved")
