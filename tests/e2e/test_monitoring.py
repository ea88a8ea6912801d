"""What people and machines see of a consumer at work: the live view, metrics, health, JSON lines."""

from __future__ import annotations

import json
import signal
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from demo.generate import Shares
from devstack import ports
from tests.e2e.clicks import TOPIC, clicks, unknown_clicks
from tests.e2e.conftest import PrivateStack
from tests.e2e.harness import Site, wait_until
from tests.e2e.terminal import on_terminal

pytestmark = pytest.mark.e2e

GOOD = Shares(repeats=0.0, unknown=0.0, garbage=0.0)


def get(port: int, path: str) -> tuple[int, str]:
    """(status, text); status 0 while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def total(port: int, name: str, **labels: str) -> float:
    """The sum over all samples of a metric with these labels."""
    families = list(text_string_to_metric_families(get(port, "/metrics")[1]))
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


# ---- at the terminal ------------------------------------------------------------------------------------------------


def test_a_terminal_shows_a_live_view_and_keeps_the_last_counts(site: Site) -> None:
    site.send(TOPIC, [*clicks(3_000, 91, GOOD), *unknown_clicks(7)])
    command = ["consume", "clicks", "--group", site.group, "--json"]
    with on_terminal(command, site.environment | {"TERM": "xterm"}) as terminal:
        terminal.shows("failed: unknown_campaign 7")
        terminal.shows(f"lag 0: {site.prefix}ads.clicks[0] 0")
        terminal.shows("writers 0 of")
        site.send(TOPIC, [b"not json"])
        terminal.shows("undecodable 1")
        terminal.process.send_signal(signal.SIGINT)
        out = terminal.end()
        assert terminal.process.returncode == 0
        assert terminal.text.startswith("clicks: 3,008 received, ")
        assert "\n" not in terminal.text
        assert json.loads(out)["received"] == 3_008


def test_a_narrow_terminal_without_colours_is_kept_to(site: Site) -> None:
    site.send(TOPIC, unknown_clicks(5))
    command = ["consume", "clicks", "--group", site.group]
    environment = site.environment | {"TERM": "xterm", "NO_COLOR": "1"}
    with on_terminal(command, environment, columns=40) as terminal:
        terminal.shows("! failed: unknown_campaign 5")
        assert b"\x1b[31m" not in terminal.written
        assert all(len(line) < 40 for line in terminal.text.splitlines())


def test_an_error_at_the_terminal_ends_in_a_line_below_the_last_counts(site: Site) -> None:
    site.send(TOPIC, unknown_clicks(3_000), key=b"one")
    with on_terminal(["consume", "clicks", "--group", site.group], site.environment | {"TERM": "xterm"}) as terminal:
        terminal.end()
        assert terminal.process.returncode == 1
        assert "Traceback" not in terminal.text
        assert "\nCommandError: Flood: " in terminal.text


# ---- for machines ---------------------------------------------------------------------------------------------------


def test_metrics_count_what_the_ledger_counts(site: Site) -> None:
    site.send(TOPIC, [*clicks(2_000, 92), *unknown_clicks(9)])
    port = ports.free_port()
    running = site.consumer("clicks", "--metrics-port", str(port))
    site.settled(2_009)
    received, written, duplicates, skipped, failed = site.ledger()
    outcomes = ("written", "duplicates", "failed")
    counted = {name: total(port, "consumers_records_total", outcome=name) for name in outcomes}
    assert counted == {"written": written, "duplicates": duplicates, "failed": failed}
    assert received == 2_009
    assert skipped == total(port, "consumers_records_total", outcome="skipped")
    failures = site.failures()
    assert failures["unknown_campaign"] >= 9
    assert {reason: total(port, "consumers_failures_total", reason=reason) for reason in failures} == failures
    assert total(port, "consumers_chunk_seconds_count") == total(port, "consumers_chunks_total") > 0
    wait_until(lambda: total(port, "consumers_partition_end_offset") == 2_009, "the ends of all partitions")
    assert total(port, "consumers_partition_lag_records") == 0
    assert (get(port, "/livez"), get(port, "/readyz")) == ((200, "ok\n"), (200, "ok\n"))
    assert get(port, "/")[0] == 404
    running.drain().ok()
    assert get(port, "/livez") == (0, "")


def test_a_member_that_settles_nothing_is_not_ready_and_recovers(site: Site) -> None:
    site.send(TOPIC, clicks(50, 93))
    port = ports.free_port()
    running = site.consumer("clicks", "--metrics-port", str(port), CONSUMERS_NOT_READY_AFTER="1")
    site.settled(1)
    with site.locked("ads_click"):
        site.send(TOPIC, clicks(50, 94))
        wait_until(lambda: site.is_waiting_for("ads_click"), "a lane that waits for the table")
        wait_until(lambda: get(port, "/readyz")[0] == 503, "not ready")
        assert "clicks has settled nothing for" in get(port, "/readyz")[1]
        assert get(port, "/livez")[0] == 200
        assert (total(port, "consumers_ready"), total(port, "consumers_alive")) == (0, 1)
    wait_until(lambda: get(port, "/readyz")[0] == 200, "ready again")
    running.drain().ok()


def test_a_member_whose_broker_is_away_is_not_ready_and_recovers(
    private_site: Site, private_stack: PrivateStack
) -> None:
    site = private_site
    site.send(TOPIC, clicks(50, 98))
    port = ports.free_port()
    running = site.consumer("clicks", "--metrics-port", str(port))
    site.settled(50)
    wait_until(lambda: get(port, "/readyz") == (200, "ok\n"), "ready")
    with private_stack.without("kafka"):
        wait_until(lambda: get(port, "/readyz")[0] == 503, "not ready")
        assert "clicks does not reach the broker: " in get(port, "/readyz")[1]
        assert get(port, "/livez")[0] == 200
    wait_until(lambda: get(port, "/readyz") == (200, "ok\n"), "ready again")
    assert "the broker is back" in running.log
    running.drain().ok()


def test_processes_are_watched_at_one_port(site: Site) -> None:
    site.send(TOPIC, clicks(5_000, 95))
    port = ports.free_port()
    running = site.consumer("clicks", "--processes", "2", "--metrics-port", str(port))
    site.settled(5_000)
    wait_until(lambda: get(port, "/readyz") == (200, "ok\n"), "both are ready")
    assert total(port, "consumers_processes", state="up") == 2
    assert total(port, "consumers_records_total") == 5_000
    assert total(port, "consumers_alive", process="1") == total(port, "consumers_alive", process="2") == 1
    running.drain().ok()


def test_json_lines_are_one_a_batch_with_stable_keys(site: Site) -> None:
    hostile = b'{"event_id": "\\u001b[2J\\nforged \\u202e"}'
    site.send(TOPIC, [*clicks(300, 96), hostile])
    done = site.consume("clicks", LOG_FORMAT="json").ok()
    lines = [json.loads(line) for line in done.err.splitlines()]
    assert all({"ts", "level", "logger", "msg", "host", "pid"} <= set(line) for line in lines)
    settled = [line for line in lines if "spans" in line]
    assert sum(line["received"] for line in settled) == 301
    assert sum(line["written"] for line in settled) == done.json["written"]
    assert all(line["consumer"] == "clicks" and line["group"] == site.group and line["ms"] > 0 for line in settled)


def test_the_supervisors_lines_are_json_too(site: Site) -> None:
    site.send(TOPIC, clicks(100, 97))
    done = site.consume("clicks", "--processes", "2", LOG_FORMAT="json").ok()
    lines = [json.loads(line) for line in done.err.splitlines()]
    assert {"consumers.supervisor", "consumers.engine.runner"} <= {line["logger"] for line in lines}
    assert len({line["pid"] for line in lines}) == 3
