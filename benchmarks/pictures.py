"""The pictures of a run: throughput, CPU per record, and the stages."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from benchmarks.results import Measured, Results
from benchmarks.svg import Bar, chart

WAITING = ("poll", "wait")
"""Stages in which nothing is done but waiting for records or for the next chunk; the group's start is in them."""
OUT_OF_SCALE = ("io", "mb")
"""Shapes whose records take so long that beside them nothing else could be seen; the table has them."""


def draw(results: Results, page: Path) -> list[Path]:
    """Draw what the run has figures for, in files beside the page and named after it."""
    clean = [pair for pair in results.measured() if pair[0] == "clean" and results.trials(pair)]
    shapes = [pair for pair in results.measured() if pair[1] == "ours" and results.trials(pair)]
    pictures = {
        "throughput": _rates(results, "Clean clicks, records per second", clean, 1),
        "shapes": _rates(results, "Shapes of the work, records per second (ours, one process)", shapes, 0),
        "cpu": _cpu(results, [pair for pair in clean if pair[1] != "naive"]),
        "freshness": _freshness(results),
        "stages": _stages(results),
    }
    drawn = []
    for name, text in pictures.items():
        if text:
            path = page.with_name(f"{page.stem}-{name}.svg")
            path.write_text(text, encoding="utf-8")
            drawn.append(path)
    return drawn


def _rates(results: Results, title: str, pairs: list[Measured], labelled_by: int) -> str:
    bars = []
    for pair in pairs:
        rate = results.figure(pair, "rate")
        if rate:
            colour = 0 if pair[1].startswith(("ours", "models")) else 1
            label = _label(results, pair, labelled_by)
            bars.append(Bar(label, [rate.median], f"{rate.median:,.0f}", (rate.least, rate.most), colour))
    return chart(title, bars) if bars else ""


def _cpu(results: Results, pairs: list[Measured]) -> str:
    bars = []
    for pair in pairs:
        costs = [results.figure(pair, name) for name in ("consumer_us", "postgres_us", "kafka_us")]
        parts = [cost.median for cost in costs if cost]
        bars.append(Bar(_label(results, pair, 1), parts, " + ".join(f"{part:.1f}" for part in parts)))
    title = "Clean clicks, microseconds of CPU per record"
    return chart(title, bars, ("consumer", "PostgreSQL", "broker")) if bars else ""


def _freshness(results: Results) -> str:
    bars = []
    for each in results.document["freshness"].get("loads", []):
        label = f"at {each['load']:.0%} load ({each['rate']:,}/s)"
        parts = [each["p50"], each["p99"] - each["p50"]]
        bars.append(Bar(label, parts, f"{each['p50']:.0f}, {each['p99']:.0f} ms"))
    return chart("From sending to a visible row, milliseconds", bars, ("half of them", "99 %")) if bars else ""


def _stages(results: Results) -> str:
    """The stages of every run that reports them, each stage in one colour; waiting for others is left out."""
    pairs = [pair for pair in results.measured() if pair[0] not in OUT_OF_SCALE]
    found = {pair: stages for pair in pairs if (stages := results.stages(pair))}
    names = [name for name in dict.fromkeys(chain(*found.values())) if name not in WAITING]
    bars = []
    for pair, stages in found.items():
        parts = [stages.get(name, 0.0) for name in names]
        label = _label(results, pair, 1 if pair[0] == "clean" else 0)
        bars.append(Bar(label, parts, f"{sum(parts):.1f}"))
    return chart("Where the time goes, microseconds per record, lanes added up", bars, names) if bars else ""


def _label(results: Results, pair: Measured, labelled_by: int) -> str:
    if labelled_by:
        return str(results.document["contenders"][pair[1]])
    return str(results.document["shapes"][pair[0]]["title"])
