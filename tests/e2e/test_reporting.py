"""Processes that report themselves, and obey orders that are left for them in the database."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consumers.consumer import BatchConsumer
from consumers.core.policies import BatchPolicy
from tests.e2e.clicks import TOPIC, assert_books, clicks
from tests.e2e.harness import Site, wait_until

pytestmark = pytest.mark.e2e

QUICK = {"KAFKA_PROPERTIES": json.dumps({"session.timeout.ms": 6000})}


def order(site: Site, kind: str, **columns: Any) -> int:
    """Leave an order as the console does; returns its id."""
    given = {
        "kind": kind, "group": site.group, "consumer": "", "topic": "", "value": "{}", "reason": "", "by": "ada",
        "ended_by": "", **columns,
    }  # fmt: skip
    names = ", ".join(f'"{name}"' for name in given)
    marks = ", ".join(["%s"] * len(given))
    return int(site.one(f"INSERT INTO consumers_control ({names}) VALUES ({marks}) RETURNING id", *given.values()))


def take_back(site: Site, control: int) -> None:
    site.query("UPDATE consumers_control SET ended_at = now(), ended_by = 'bob' WHERE id = %s", control)


def replies(site: Site, control: int) -> list[tuple[str, str]]:
    return [
        (state, text)
        for state, text in site.query(
            "SELECT state, text FROM consumers_controlreply WHERE control_id = %s ORDER BY at", control
        )
    ]


def answered(site: Site, control: int, state: str) -> str:
    """Wait for a reply in this state; its text."""
    found = wait_until(
        lambda: [text for said, text in replies(site, control) if said == state],
        f"{state} in {replies(site, control)}",
    )
    return str(found[0])


def reports(site: Site, part: dict[str, Any]) -> None:
    """Wait until a worker's report has this in it."""
    holding = "SELECT 1 FROM consumers_worker WHERE report @> %s"
    wait_until(lambda: site.query(holding, json.dumps(part)), f"{part} in a report")


def partition_of(site: Site, number: int) -> dict[str, Any]:
    """What the latest worker reports of a partition; nothing before it holds it."""
    rows = site.query("SELECT report FROM consumers_worker WHERE state = 'running' ORDER BY started_at DESC LIMIT 1")
    found = [each for each in (rows[0][0]["consumers"][0]["partitions"] if rows else []) if each["partition"] == number]
    return found[0] if found else {}


def test_a_process_reports_itself_from_its_start_to_its_end(site: Site) -> None:
    site.send(TOPIC, clicks(2_000, 61))
    consumer = site.consumer("clicks")
    site.settled(2_000)
    wait_until(lambda: all(partition_of(site, number).get("lag") == 0 for number in range(6)), "lag 0 of all")

    [(pid, state, report)] = site.query("SELECT pid, state, report FROM consumers_worker")
    assert (pid, state) == (consumer.process.pid, "running")
    assert report["consumers"][0]["tally"]["received"] == 2_000
    assert len(report["consumers"][0]["partitions"]) == 6

    consumer.drain().ok()
    assert site.query("SELECT state, why FROM consumers_worker") == [("stopped", "")]
    kinds = [kind for (kind,) in site.query("SELECT kind FROM consumers_workerevent ORDER BY id")]
    assert kinds[0] == "start"
    assert "rebalance" in kinds
    assert kinds[-2:] == ["drain", "stop"]


def test_a_paused_partition_stays_paused_over_a_restart_and_nothing_is_lost_when_it_is_resumed(site: Site) -> None:
    first_lot, second_lot = clicks(2_000, 62), clicks(3_000, 63)
    site.send(TOPIC, first_lot)
    consumer = site.consumer("clicks", **QUICK)
    site.settled(2_000)

    pause = order(site, "pause", topic=site.prefix + TOPIC, partition=0)
    assert answered(site, pause, "done") == f"paused {site.prefix}{TOPIC}[0]"
    before = site.positions()[0]
    site.send(TOPIC, second_lot)
    wait_until(lambda: (partition_of(site, 0).get("lag") or 0) > 0, "lag of the paused partition, as the broker knows")
    consumer.drain().ok()

    again = site.consumer("clicks", **QUICK)
    wait_until(lambda: partition_of(site, 0).get("operator_paused"), "the partition paused in the new process")
    wait_until(lambda: all(partition_of(site, each).get("lag") == 0 for each in range(1, 6)), "the others at their end")
    assert site.positions()[0] == before

    take_back(site, pause)
    site.settled(5_000)
    assert answered(site, pause, "lifted")
    again.drain().ok()
    assert_books(site, first_lot + second_lot)


def test_a_process_drains_by_order_and_says_so(site: Site) -> None:
    site.send(TOPIC, clicks(100, 64))
    consumer = site.consumer("clicks")
    site.settled(100)
    worker = wait_until(lambda: site.query("SELECT id FROM consumers_worker"), "the worker's row")[0][0]

    drain = order(site, "drain", worker=worker)
    consumer.end().ok()
    assert replies(site, drain) == [("done", "drained and stopped")]
    assert site.one("SELECT ended_at IS NOT NULL FROM consumers_control WHERE id = %s", drain)


def test_limits_are_held_by_order_and_follow_the_health_again_when_it_is_taken_back(site: Site) -> None:
    own = {"workers": BatchConsumer.max_concurrency, "chunk_records": BatchPolicy().chunk_records}
    site.send(TOPIC, clicks(100, 65))
    site.consumer("clicks")
    orders = {
        "writers": order(site, "writers", value='{"value": 1}'),
        "concurrency": order(site, "concurrency", value='{"value": 3}'),
        "chunk_size": order(site, "chunk_size", value='{"value": 77}'),
    }
    by_order = {
        "limiter": {"limit": 1, "is_fixed": True, "last_move": "writers at once 2 to 1: ordered by ada"},
        "consumers": [{"workers": 3, "chunk_records": 77}],
    }
    reports(site, by_order)
    for control in orders.values():
        answered(site, control, "done")
        take_back(site, control)
    reports(site, {"limiter": {"is_fixed": False}, "consumers": [own]})


def test_the_stacks_of_a_process_are_dumped_on_request(site: Site) -> None:
    site.send(TOPIC, clicks(10, 66))
    site.consumer("clicks")
    worker = wait_until(lambda: site.query("SELECT id FROM consumers_worker"), "the worker's row")[0][0]
    dump = order(site, "dump", worker=worker)
    assert "_settle_all" in answered(site, dump, "done")


def test_an_idle_process_hears_that_its_group_was_moved(site: Site) -> None:
    """Without a word it would notice only when the next record came."""
    values = clicks(600, 67)
    site.send(TOPIC, values)
    consumer = site.consumer("clicks")
    site.settled(600)
    site.run("seek", "--group", site.group, "--topic", site.prefix + TOPIC, "--to-beginning", "--force").ok()
    wait_until(
        lambda: site.query(
            "SELECT 1 FROM consumers_worker WHERE (report #>> '{consumers,0,tally,received}')::int >= 1200"
        ),
        "all records read again",
    )
    wait_until(lambda: sum(site.positions().values()) == 600, "the ledger at the end again")
    consumer.drain().ok()
    assert_books(site, values)


def test_reports_that_cannot_be_written_hold_up_nothing(site: Site) -> None:
    values = clicks(4_000, 68)
    site.send(TOPIC, values[:100])
    consumer = site.consumer("clicks")
    site.settled(100)
    wait_until(lambda: site.query("SELECT 1 FROM consumers_worker"), "the worker's row")
    with site.locked("consumers_worker"):
        wait_until(lambda: site.is_waiting_for("consumers_worker"), "a report that waits")
        site.send(TOPIC, values[100:])
        site.settled(4_000)
        consumer.says("cannot report to the database")
    consumer.says("reports to the database again")
    consumer.drain().ok()
    assert_books(site, values)


def test_each_process_of_a_supervisor_reports_itself_and_one_that_is_drained_by_order_stays_down(site: Site) -> None:
    values = clicks(2_000, 69)
    site.send(TOPIC, values)
    consumer = site.consumer("clicks", "--processes", "2", **QUICK)
    running = "SELECT id FROM consumers_worker WHERE state = 'running' ORDER BY pid"
    workers = wait_until(lambda: rows if len(rows := site.query(running)) == 2 else None, "two workers")
    drain = order(site, "drain", worker=workers[0][0])
    answered(site, drain, "done")
    consumer.says("has ended by itself")
    site.settled(2_000)
    wait_until(lambda: len(site.query(running)) == 1, "one worker left")
    consumer.drain().ok()
    assert_books(site, values)


def test_with_reporting_switched_off_a_process_neither_reports_nor_listens(site: Site) -> None:
    values = clicks(500, 70)
    site.send(TOPIC, values)
    order(site, "pause", topic=site.prefix + TOPIC)
    site.consume("clicks", CONSUMERS_REPORTING_INTERVAL="0").ok()
    assert_books(site, values)
    assert site.one("SELECT count(*) FROM consumers_worker") == 0
