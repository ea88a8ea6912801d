"""`consume --processes`: several members of a group under one supervisor, against the real servers."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import psutil
import pytest

from tests.e2e.clicks import TOPIC, assert_books, clicks
from tests.e2e.harness import Running, Site, wait_until

pytestmark = pytest.mark.e2e

# Several commits per partition, so that there is a middle to be disturbed in.
SMALL = ("--chunk-size", "100")
STATIC = {"KAFKA_PROPERTIES": json.dumps({"group.instance.id": "one"})}


def members(supervisor: Running) -> list[psutil.Process]:
    """The processes that it has started and that run, in the order of their numbers."""
    found = psutil.Process(supervisor.process.pid).children()
    return sorted((each for each in found if is_alive(each)), key=number_of)


def number_of(member: psutil.Process) -> int:
    words = member.cmdline()
    return int(words[words.index("--member") + 1])


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def both_at_work(site: Site) -> None:
    wait_until(lambda: sorted(site.members().values()) == [3, 3], "two members with three partitions each")


def test_two_processes_share_the_topic_and_their_totals_are_exact(site: Site) -> None:
    values = clicks(20_000, 31)
    site.send(TOPIC, values)
    done = site.consume("clicks", "--processes", "2", *SMALL).ok()

    assert_books(site, values)
    assert done.counts == site.ledger()
    summary = done.json
    assert (summary["restarts"], summary["complete"]) == (0, True)
    assert [(one["process"], one["exit_code"]) for one in summary["processes"]] == [(1, 0), (2, 0)]
    assert done.counts[0] == sum(one["received"] for one in summary["processes"])
    assert "[1] " in done.err
    assert "[2] " in done.err
    assert site.members() == {}


def test_a_killed_process_is_started_again_and_every_event_is_stored_exactly_once(site: Site) -> None:
    values = clicks(20_000, 32)
    site.send(TOPIC, values[:15_000])
    # Static members: the one that follows gets the partitions back without waiting for the session's end.
    supervisor = site.consumer("clicks", "--processes", "2", *SMALL, **STATIC)
    both_at_work(site)
    site.settled(1)
    victim = members(supervisor)[0]
    victim.kill()
    supervisor.says("process 1 was killed by SIGKILL")
    site.send(TOPIC, values[15_000:])
    site.settled(20_000)
    both_at_work(site)
    assert [number_of(each) for each in members(supervisor)] == [1, 2]
    assert members(supervisor)[0].pid != victim.pid
    done = supervisor.drain().ok()

    assert_books(site, values)
    assert (done.json["restarts"], done.json["complete"]) == (1, False)


def test_a_process_killed_on_the_way_to_the_end_does_not_keep_the_rest_from_ending(site: Site) -> None:
    values = clicks(20_000, 33)
    site.send(TOPIC, values)
    supervisor = site.consumer("clicks", "--processes", "2", "--until-end", *SMALL)
    with site.locked("ads_click"):
        wait_until(lambda: site.is_waiting_for("ads_click"), "a chunk in flight")
        members(supervisor)[1].kill()
        supervisor.says("process 2 was killed by SIGKILL")
    supervisor.end().ok()
    assert_books(site, values)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_drains_all_processes(site: Site, number: int) -> None:
    values = clicks(20_000, 34)
    site.send(TOPIC, values[:10_000])
    supervisor = site.consumer("clicks", "--processes", "2", *SMALL)
    both_at_work(site)
    site.send(TOPIC, values[10_000:])
    supervisor.send(number)
    done = supervisor.end().ok()

    assert done.err.count("draining: chunks in flight will settle; a second signal aborts") == 2
    assert done.counts == site.ledger()
    assert site.committed() == site.positions()
    assert site.members() == {}
    site.consume("clicks", "--processes", "2").ok()
    assert_books(site, values)


def test_a_second_signal_aborts_all_processes_and_nothing_is_lost(site: Site) -> None:
    values = clicks(3_000, 35)
    site.send(TOPIC, values[:1])
    supervisor = site.consumer("clicks", "--processes", "2")
    both_at_work(site)
    site.settled(1)
    with site.locked("ads_click"):
        site.send(TOPIC, values[1:])
        wait_until(lambda: site.is_waiting_for("ads_click") >= 2, "chunks in flight")
        supervisor.send(signal.SIGTERM)
        supervisor.says("chunks in flight will settle", times=2)
        supervisor.send(signal.SIGTERM)
        done = supervisor.end()
    assert done.code == 130, done.err
    assert site.ledger()[0] == 1
    site.consume("clicks").ok()
    assert_books(site, values)


def test_a_killed_supervisor_leaves_no_process_behind(site: Site) -> None:
    values = clicks(20_000, 36)
    site.send(TOPIC, values[:10_000])
    supervisor = site.consumer("clicks", "--processes", "2", *SMALL)
    both_at_work(site)
    orphans = members(supervisor)
    site.send(TOPIC, values[10_000:])
    supervisor.kill()
    wait_until(lambda: not any(map(is_alive, orphans)), "the end of both processes")

    assert site.members() == {}, "they left the group rather than being thrown out of it"
    assert site.committed() == site.positions()
    site.consume("clicks").ok()
    assert_books(site, values)


def test_the_supervisor_is_a_small_process_without_connections(site: Site) -> None:
    site.send(TOPIC, clicks(10, 37))
    supervisor = site.consumer("clicks", "--processes", "2")
    site.settled(10)
    process = psutil.Process(supervisor.process.pid)
    assert process.net_connections("inet") == []
    assert process.num_threads() == 1
    libraries = " ".join(Path(each.path).name for each in process.memory_maps())
    assert "rdkafka" not in libraries
    assert "libpq" not in libraries
    assert all(each.net_connections("inet") for each in members(supervisor))
    supervisor.drain().ok()


def test_the_thin_commands_have_it_too(site: Site) -> None:
    values = clicks(500, 38)
    site.send(TOPIC, values)
    done = site.run("consume_clicks", "--group", site.group, "--until-end", "--json", "--processes=2").ok()
    assert done.counts == site.ledger()
    assert_books(site, values)


def test_a_wrong_configuration_ends_all_with_exit_code_2_and_no_restart(site: Site) -> None:
    site.send(TOPIC, clicks(10, 39))
    done = site.consume("clicks", "--processes", "2", KAFKA_PROPERTIES='{"no.such.property": 1}')
    assert done.code == 2, done.err
    assert "wrong usage or configuration: CommandError: " in done.err
    assert "no.such.property" in done.err
    assert "again in" not in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("consume", "clicks", "--processes", "2", "--max-records", "5"), "leave out --processes, or use --until-end"),
        (("consume", "clicks", "--processes", "0"), "must be a whole number of at least 1"),
        (("consume", "no-such-consumer", "--processes", "2"), "no-such-consumer"),
        (("consume", "clicks", "--member", "1"), "--member is only for the processes that --processes starts"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_process_starts(
    site: Site, arguments: tuple[str, ...], says: str
) -> None:
    done = site.run(*arguments)
    assert done.code == 2
    assert says in done.err
    assert "Traceback" not in done.err
    assert "has pid" not in done.err
