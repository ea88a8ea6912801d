"""From the topic to the table: what a run says of itself, the table and the ledger agree to the record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from demo.samples import SAMPLES
from tests.e2e.clicks import TOPIC, assert_books, clicks
from tests.e2e.harness import COUNTS, Site, wait_until

pytestmark = pytest.mark.e2e


def test_the_summary_the_table_and_the_ledger_agree_and_running_again_receives_nothing(site: Site) -> None:
    shares = ["--repeats", "0.01", "--unknown", "0.005", "--garbage", "0.005"]
    sent = site.run("produce_events", "--generate", "20000", *shares, "--seed", "11", "--json").ok().json

    first = site.run("consume_clicks", "--group", site.group, "--until-end", "--json").ok()

    bad = sent["unknown"] + sent["garbage"]
    assert first.counts == (20_000, sent["unique_valid"], sent["repeats"], 0, bad)
    assert first.json["seconds"] > 0
    assert_books(site, clicks(20_000, 11))

    again = site.run("consume_clicks", "--group", site.group, "--until-end", "--json").ok()
    assert again.counts == (0, 0, 0, 0, 0)
    assert_books(site, clicks(20_000, 11))


def test_another_group_reads_the_topic_again_and_finds_only_duplicates(site: Site) -> None:
    values = clicks(1_000, 12)
    site.send(TOPIC, values)
    first = site.consume("clicks").ok()
    second = site.run("consume", "clicks", "--group", f"{site.group}-2", "--until-end", "--json").ok()

    received, written, duplicates, skipped, failed = first.counts
    assert second.counts == (received, 0, written + duplicates, skipped, failed)
    assert site.ledger(f"{site.group}-2") == second.counts


def test_stdout_holds_nothing_but_the_summary(site: Site) -> None:
    site.send(TOPIC, clicks(10, 13))
    done = site.consume("clicks").ok()
    assert json.loads(done.out)["received"] == 10
    assert "settled" in done.err


def test_an_empty_topic_is_consumed_to_its_end_at_once(site: Site) -> None:
    site.send(TOPIC, [])
    assert site.consume("clicks").ok().counts == (0, 0, 0, 0, 0)


def test_max_records_stops_after_exactly_so_many_and_the_next_run_goes_on_there(site: Site) -> None:
    values = clicks(2_000, 14)
    site.send(TOPIC, values)
    assert site.consumer("clicks", "--max-records", "700").end().ok().counts[0] == 700
    assert site.ledger()[0] == 700
    assert site.consume("clicks").ok().counts[0] == 1_300
    assert_books(site, values)


def test_the_chunk_size_bounds_each_transaction(site: Site) -> None:
    values = clicks(1_000, 15)
    site.send(TOPIC, values)
    done = site.consume("clicks", "--chunk-size", "40", "--concurrency", "1").ok()
    sizes = [int(line.split(" settled ")[1].split()[0]) for line in done.err.splitlines() if " settled " in line]
    assert sum(sizes) == 1_000
    assert max(sizes) == 40
    assert_books(site, values)


def test_several_consumers_run_in_one_process_each_in_its_own_group(private_site: Site) -> None:
    site = private_site
    sent = {}
    for name in ("impressions", "clicks", "payments"):
        sent[name] = site.run("produce_events", "--sample", name, "--limit", "1000", "--json").ok().json["sent"]

    done = site.run("consume", *sent, "--until-end", "--json").ok()

    each = {one["consumer"]: one for one in done.json["consumers"]}
    assert {name: one["received"] for name, one in each.items()} == sent
    assert done.counts == tuple(sum(one[name] for one in each.values()) for name in COUNTS)
    for name, one in each.items():
        assert site.ledger(name) == tuple(one[count] for count in COUNTS)
    assert {topic for (topic,) in site.query("SELECT topic FROM consumers_partitionledger")} == {
        site.prefix + sample.topic for sample in SAMPLES.values()
    }


TELLS_OF_IMPORTS = """
import sys
from _thread import get_ident

main = get_ident()

def tell(event, arguments):
    if event == "import" and get_ident() != main:
        sys.stderr.write(f"imported beside the greenlets: {arguments[0]}\\n")

sys.addaudithook(tell)
"""


def test_nothing_is_imported_in_a_native_thread(site: Site, tmp_path: Path) -> None:
    """Two that import the same module at the same time may wait for ever: seen once in hundreds of starts."""
    (tmp_path / "sitecustomize.py").write_text(TELLS_OF_IMPORTS)
    site.send(TOPIC, clicks(20, 17))
    done = site.consume("clicks", PYTHONPATH=str(tmp_path)).ok()
    assert done.json["received"] == 20
    assert "imported beside the greenlets" not in done.err


def test_without_an_end_a_consumer_waits_for_more_until_it_is_told_to_stop(site: Site) -> None:
    values = clicks(600, 16)
    site.send(TOPIC, values[:300])
    consumer = site.consumer("clicks")
    site.settled(300)
    site.send(TOPIC, values[300:])
    site.settled(600)
    wait_until(lambda: sum(site.committed().values()) == 600, "the commit to the broker")
    assert consumer.drain().ok().counts[0] == 600
    assert_books(site, values)
