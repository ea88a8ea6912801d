"""What the project sets out to reach, held against a run: ratios within it, never figures of another machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.figures import Figure
from benchmarks.results import Measured, Results
from benchmarks.shapes import IO_IDEAL

CLEAN = ("clean", "ours")


class Verdict(NamedTuple):
    """A target and what the run says of it; `reached` is None where it was not measured."""

    what: str
    target: str
    measured: str
    reached: bool | None


@dataclass(frozen=True)
class _Target:
    """At least (or, with `at_most`, at most) so much of a figure."""

    what: str
    bound: float
    figure: Callable[[Results], Figure | None]
    unit: str = ""
    at_most: bool = False
    remark: Callable[[Results], str] = lambda results: ""

    def judge(self, results: Results) -> Verdict:
        found = self.figure(results)
        asked = f"{'at most' if self.at_most else 'at least'} {self.bound:g}{self.unit}"
        if found is None:
            return Verdict(self.what, asked, "not measured", None)
        spread = f" ({found.least:.3g} to {found.most:.3g})" if found.least != found.most else ""
        reached = found.median <= self.bound if self.at_most else found.median >= self.bound
        return Verdict(self.what, asked, f"{found.median:.3g}{self.unit}{spread}{self.remark(results)}", reached)


def _ratio(of: Measured, to: Measured) -> Callable[[Results], Figure | None]:
    return lambda results: results.ratio(of, to)


def _of_ideal(results: Results) -> Figure | None:
    found = results.figure(("io", "ours"), "rate")
    return found and Figure(*(value / IO_IDEAL for value in (found.median, found.least, found.most)))


def _memory(results: Results) -> Figure | None:
    return results.figure(("backlog", "ours"), "rss_mb") or results.figure(CLEAN, "rss_mb")


def _which_backlog(results: Results) -> str:
    measured = ("backlog", "ours") if results.trials(("backlog", "ours")) else CLEAN
    [records] = {each["records"] for each in results.trials(measured)}
    growth = results.figure(measured, "rss_growth_mb")
    return f", {growth.median if growth else 0:+.0f} MB in the second half of {records:,} records"


def _per_row_when_full(results: Results) -> Figure | None:
    """The inverse of the rates: time per row."""
    return results.ratio(CLEAN, ("filled", "ours"))


def _fresh_at_half(results: Results) -> Figure | None:
    loads = results.document["freshness"].get("loads", [])
    values = [each["p99"] for each in loads if each["load"] == 0.5]
    return Figure.of(values) if values else None


def _postgres_cores(results: Results) -> str:
    """How much of the machine the two processes' rows cost in PostgreSQL."""
    rate, cost = results.figure(("clean", "ours2"), "rate"), results.figure(("clean", "ours2"), "postgres_us")
    if rate is None or cost is None:
        return ""
    return (
        f"; PostgreSQL then takes {rate.median * cost.median / 1e6:.1f} of {results.document['machine']['cores']} cores"
    )


TARGETS = (
    _Target("clean clicks, one process, against `hand`", 0.9, _ratio(CLEAN, ("clean", "hand")), " x"),
    _Target("the same, against `limit` with two connections", 0.65, _ratio(CLEAN, ("clean", "limit2")), " x"),
    _Target("the same, against `bulk`", 5, _ratio(CLEAN, ("clean", "bulk")), " x"),
    _Target("two processes against one", 1.2, _ratio(("clean", "ours2"), CLEAN), " x", remark=_postgres_cores),
    _Target(
        "consumer CPU per row, the project's own click consumer",
        8,
        lambda results: results.figure(CLEAN, "consumer_us"),
        " us",
        at_most=True,
    ),
    _Target(
        "consumer CPU per row, Model instances made by keyword",
        16,
        lambda results: results.figure(("clean", "models"), "consumer_us"),
        " us",
        at_most=True,
    ),
    _Target("0.1 % bad records, against clean", 0.9, _ratio(("bad01", "ours"), CLEAN), " x"),
    _Target("one poison row per chunk, against clean", 0.7, _ratio(("poison", "ours"), CLEAN), " x"),
    _Target("payments, content compared, against clicks", 0.6, _ratio(("payments", "ours"), CLEAN), " x"),
    _Target(f"20 ms of I/O, 200 workers, of the ideal {IO_IDEAL:,.0f}/s", 0.9, _of_ideal, " x"),
    _Target("freshness, p99 at 50 % load", 250, _fresh_at_half, " ms", at_most=True),
    _Target("peak memory of a backlog, flat", 250, _memory, " MB", at_most=True, remark=_which_backlog),
    _Target("time per row with 10 million rows in the table", 1.3, _per_row_when_full, " x", at_most=True),
)


def judge(results: Results) -> Iterator[Verdict]:
    """Each target's verdict."""
    return (target.judge(results) for target in TARGETS)
