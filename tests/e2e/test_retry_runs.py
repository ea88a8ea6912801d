"""Retry runs worked on by `reprocess_failures --watch`: several workers, kill -9, and nothing twice."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.e2e.clicks import TOPIC, unknown_clicks
from tests.e2e.harness import Site, wait_until
from tests.e2e.test_reprocess import QUICK, create_campaigns

pytestmark = pytest.mark.e2e

RECORDS = 300


@pytest.fixture
def failed(site: Site) -> Site:
    """A site with clicks that failed on campaigns that there are by now, but that are not due by themselves."""
    site.send(TOPIC, unknown_clicks(RECORDS))
    assert site.consume("clicks", CONSUMERS_FLOOD_GUARD="off", **QUICK).ok().counts == (RECORDS, 0, 0, 0, RECORDS)
    create_campaigns(site)
    site.query("UPDATE consumers_failedrecord SET waits_for = '', retry_after = NULL")
    return site


def start_run(site: Site, rate: float) -> int:
    """What the admin's confirmation stores."""
    ((run,),) = site.query(
        "INSERT INTO consumers_retryrun (token, by, reason, selection, shown_as, upper_id, ramp, rate, pause_above,"
        " state, state_at, state_by, state_reason, created_at)"
        " SELECT md5(random()::text), 'ada', 'mended', '{\"reason\": \"unknown_campaign\"}', '', max(id),"
        " '[1, 5, 50]', %s, 0.5, 'queued', now(), '', '', now() FROM consumers_failedrecord RETURNING id",
        rate,
    )
    site.query(
        "INSERT INTO consumers_retryprogress (run_id, total, is_counted, cursor, succeeded, failed_again, skipped,"
        " by_reason, step, step_attempted, step_failed, due_at, worker)"
        " VALUES (%s, 0, false, 0, 0, 0, 0, '{}', 0, 0, 0, now(), '')",
        run,
    )
    return int(run)


def progress(site: Site, run: int) -> tuple[Any, ...]:
    """(state, total, succeeded, failed again, skipped)."""
    (found,) = site.query(
        "SELECT state, total, succeeded, failed_again, skipped FROM consumers_retryrun"
        " JOIN consumers_retryprogress ON run_id = id WHERE id = %s",
        run,
    )
    return found


def watch(site: Site) -> Any:
    watching = site.start("reprocess_failures", "--watch", "--interval", "1")
    watching.says("watching for failed records")
    return watching


def test_a_run_survives_kill_9_of_its_worker_and_attempts_no_record_twice(failed: Site) -> None:
    run = start_run(failed, rate=60)
    for _ in range(2):
        worker = watch(failed)
        before = progress(failed, run)[2]
        wait_until(lambda before=before: progress(failed, run)[2] > before, "the run to go on")
        worker.kill()
        assert progress(failed, run)[0] == "running"
    workers = [watch(failed), watch(failed)]
    wait_until(lambda: progress(failed, run)[0] == "done", "the run to be done")
    assert progress(failed, run) == ("done", RECORDS, RECORDS, 0, 0)
    assert failed.one("SELECT count(*) FROM ads_click") == RECORDS
    attempts = (
        "SELECT record_id, count(*) FROM consumers_failedattempt WHERE run_id = %s GROUP BY 1 HAVING count(*) > 1"
    )
    assert failed.query(attempts, run) == []
    assert failed.one("SELECT count(*) FROM consumers_failedattempt WHERE run_id IS NOT NULL") == RECORDS
    for each in workers:
        each.send(signal.SIGTERM)
    assert all(each.end().ok() for each in workers)


def test_a_paused_run_rests_until_it_is_resumed_though_its_worker_goes_on(failed: Site) -> None:
    run = start_run(failed, rate=30)
    worker = watch(failed)
    wait_until(lambda: progress(failed, run)[2] > 0, "the run to begin")
    failed.query("UPDATE consumers_retryrun SET state = 'paused' WHERE id = %s", run)
    other = start_run(failed, rate=0)
    wait_until(lambda: progress(failed, other)[0] == "done", "the other run to be done")
    state, total, succeeded, again, skipped = progress(failed, run)
    assert (state, total, again, skipped) == ("paused", RECORDS, 0, 0)
    assert succeeded < RECORDS
    assert progress(failed, other)[2] == RECORDS - succeeded
    failed.query("UPDATE consumers_retryrun SET state = 'queued' WHERE id = %s", run)
    wait_until(lambda: progress(failed, run)[0] == "done", "the resumed run to be done")
    worker.drain().ok()
