"""Metrics: their names, their text in both formats, and that each is exported."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics import parser as open_parser
from prometheus_client.parser import text_string_to_metric_families

from consumers.core.exposition import Metric, Sample, is_open_metrics, merge, render
from consumers.core.histogram import Histogram
from consumers.engine.front import RESTARTS, UP
from consumers.telemetry import catalogue
from consumers.telemetry.health import Verdict
from consumers.telemetry.metrics import bounded, samples
from tests.snapshots import consumer, partition, process

GAUGE = Metric("some_gauge", "gauge", "Some gauge.", ("sort",))
COUNTER = Metric("some_total", "counter", "Some\ncounter.")
SPREAD = Metric("some_seconds", "histogram", "Some spread.", ("sort",))


def all_samples() -> list[Sample]:
    histogram = Histogram((0.5, 1.0))
    histogram.add(0.7)
    spreads = {"clicks": {catalogue.CHUNK_SECONDS: histogram, catalogue.FRESHNESS: histogram}}
    return list(samples(process(), Verdict(), spreads))


def families(text: str, *, is_open: bool = False) -> dict[str, Any]:
    parse = open_parser.text_string_to_metric_families if is_open else text_string_to_metric_families
    return {family.name: family for family in parse(text)}


def value(text: str, name: str, *, is_open: bool = False, **labels: str) -> float:
    found = [
        sample.value
        for family in families(text, is_open=is_open).values()
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    assert len(found) == 1, f"{name}{labels} in\n{text}"
    return float(found[0])


# ---- the list -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [*catalogue.ALL.values(), UP, RESTARTS], ids=lambda metric: metric.name)
def test_names_follow_prometheus_conventions(metric: Metric) -> None:
    assert metric.name.startswith(("consumers_", "process_"))
    assert metric.name.endswith("_total") is (metric.kind == "counter")
    assert not any(f"_{unit}" in metric.name for unit in ("ms", "milliseconds", "minutes", "kb", "mb", "percent"))
    assert metric.help.endswith(".")
    assert "le" not in metric.labels


def test_every_metric_of_the_list_is_exported() -> None:
    assert {sample.metric.name for sample in all_samples()} == set(catalogue.ALL)


@pytest.mark.parametrize("is_open", [False, True])
def test_both_formats_are_read_by_the_reference_parser(is_open: bool) -> None:
    text = render(all_samples(), is_open=is_open)
    names = {name.removesuffix("_total") for name in families(text, is_open=is_open)}
    assert names == {name.removesuffix("_total") for name in catalogue.ALL}
    own = {"consumer": "clicks", "group": "clicks"}
    assert value(text, "consumers_records_total", is_open=is_open, **own, outcome="written") == 90
    assert value(text, "consumers_failures_total", is_open=is_open, **own, reason="invalid") == 2
    place = {"topic": "ads.clicks", "partition": "0"}
    assert value(text, "consumers_partition_lag_records", is_open=is_open, **own, **place) == 0
    assert value(text, "consumers_chunk_seconds_bucket", is_open=is_open, **own, le="1.0") == 1
    assert value(text, "consumers_state", is_open=is_open, **own, state="running") == 1


def test_what_is_not_known_is_absent_and_not_zero() -> None:
    unknown = partition(settled=-1, committed=-1, end=-1, lag=None)
    report = process(consumer(settled_age=None, freshness=None, partitions=[unknown]))
    names = {sample.metric.name for sample in samples(report, Verdict())}
    absent = ("lag_records", "settled_offset", "committed_offset", "end_offset")
    assert not names & {f"consumers_partition_{name}" for name in absent}
    assert "consumers_last_settled_timestamp_seconds" not in names


@pytest.mark.parametrize(
    ("away", "holding", "broker"), [({"holding": "no route"}, 1, 0), ({"broker": "refused"}, 0, 1), ({}, 0, 0)]
)
def test_an_outage_of_the_database_and_one_of_the_broker_are_told_apart(
    away: dict[str, str], holding: int, broker: int
) -> None:
    text = render(samples(process(consumer(**away)), Verdict()))
    own = {"consumer": "clicks", "group": "clicks"}
    assert value(text, "consumers_holding", **own) == holding
    assert value(text, "consumers_broker_away", **own) == broker


def test_reasons_are_bounded_and_none_is_lost() -> None:
    reasons = {f"reason_{number}": number + 1 for number in range(200)}
    kept = bounded(reasons)
    assert len(kept) == catalogue.MOST_REASONS + 1
    assert sum(kept.values()) == sum(reasons.values())
    assert kept["reason_199"] == 200
    assert "reason_0" not in kept


# ---- the text -------------------------------------------------------------------------------------------------------


HOSTILE = 'a"b\\c\nd} 1\nevil_metric 666'


@pytest.mark.parametrize("is_open", [False, True])
def test_a_hostile_label_stays_one_label(is_open: bool) -> None:
    text = render([Sample(GAUGE, 1, (HOSTILE,))], is_open=is_open)
    assert value(text, "some_gauge", is_open=is_open, sort=HOSTILE) == 1
    assert list(families(text, is_open=is_open)) == ["some_gauge"]


def test_a_hostile_reason_cannot_forge_a_metric() -> None:
    report = process(consumer(failed_by_reason={HOSTILE: 3}))
    assert "evil_metric" not in families(render(samples(report, Verdict())))


def test_texts_of_several_processes_become_one_with_a_label() -> None:
    histogram = Histogram((1.0,))
    histogram.add(3.0)
    one = render([Sample(GAUGE, 1, ("x",)), Sample(COUNTER, 5)])
    two = render([Sample(GAUGE, 2, ("x",)), Sample(SPREAD, histogram, ("x",))])
    text = merge({"1": one, "2": two}, "process", render([Sample(UP, 2, ("up",))]))
    assert value(text, "some_gauge", sort="x", process="1") == 1
    assert value(text, "some_gauge", sort="x", process="2") == 2
    assert value(text, "some_total", process="1") == 5
    assert value(text, "some_seconds_bucket", sort="x", process="2", le="+Inf") == 1
    assert value(text, "consumers_processes", state="up") == 2
    assert text.count("# TYPE some_gauge gauge") == 1


def test_texts_in_openmetrics_are_merged_to_one_with_one_end() -> None:
    text = merge(
        {"1": render(all_samples(), is_open=True), "2": render(all_samples(), is_open=True)}, "p", is_open=True
    )
    assert text.count("# EOF") == 1
    own = {"consumer": "clicks", "group": "clicks"}
    assert value(text, "consumers_chunks_total", is_open=True, p="2", **own) == 7


def test_openmetrics_is_given_to_whom_asks_for_it() -> None:
    assert is_open_metrics("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4")
    assert not is_open_metrics("text/html,*/*")


# ---- histograms -----------------------------------------------------------------------------------------------------


def test_a_histogram_counts_bounds_as_included() -> None:
    histogram = Histogram((1.0, 2.0))
    for measured in (0.5, 1.0, 1.5, 2.5):
        histogram.add(measured)
    assert histogram.cumulative == [2, 3, 4]
    assert histogram.sum == 5.5


def test_the_documentation_lists_each_metric_as_it_is() -> None:
    documented = (Path(__file__).resolve().parents[2] / "docs" / "monitoring.md").read_text()
    for metric in [*catalogue.ALL.values(), UP, RESTARTS]:
        assert f"| `{metric.name}` | {metric.kind} | {', '.join(metric.labels)} | {metric.help} |" in documented
    assert len(re.findall(r"^\| `(?:consumers|process)_\w+` \|", documented, re.MULTILINE)) == len(catalogue.ALL) + 2
