"""A run as Markdown tables and pictures: what stands between the markers of docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks import pictures
from benchmarks.figures import Figure
from benchmarks.results import Measured, Results
from benchmarks.targets import Verdict, judge

BEGIN = "<!-- bench: begin (written by `python -m benchmarks report`) -->"
END = "<!-- bench: end -->"
WORDS = {True: "reached", False: "**not reached**", None: "-"}
DISTURBED_CORES = 0.2


class NoMarkers(Exception):
    """The page has no place for the report."""


def into_page(results: Results, page: Path) -> list[Path]:
    """Write the report between the markers of the page, and its pictures beside it; returns what was written.

    Raises:
        NoMarkers: the page lacks them.
        OSError: it cannot be read or written.
    """
    text = page.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise NoMarkers(f"{page} has no lines {BEGIN!r} and {END!r} to write between")
    drawn = pictures.draw(results, page)
    page.write_text(f"{head}{BEGIN}\n\n{markdown(results, drawn)}\n\n{END}{tail}", encoding="utf-8")
    return [page, *drawn]


def markdown(results: Results, drawn: Sequence[Path] = ()) -> str:
    """The whole report; it refers to the pictures by name."""
    parts = [
        *_machine(results),
        *_table("Targets", ("what", "target", "measured", ""), map(_verdict, judge(results))),
        *(f"![{path.stem}]({path.name})" for path in drawn),
        *_throughput(results),
        *_freshness(results),
        *_stages(results),
        *_errors(results),
    ]
    return "\n\n".join(parts)


def _machine(results: Results) -> Iterator[str]:
    document, machine = results.document, results.document["machine"]
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    settings = ", ".join(
        f"{name} = {value}" for name, value in document["postgres"].items() if name != "server_version"
    )
    own = ", ".join(f"{name}={value}" for name, value in machine["environment"].items())
    yield (
        f"Measured {document['started'].replace('T', ' ')} at {machine['commit'] or 'an unknown commit'}, in"
        f" {document['minutes']} minutes: {machine['cores']} cores ({machine['cpu']}), {machine['memory_gb']} GB,"
        f" {machine['system']}, Python {machine['python']}, PostgreSQL {document['postgres']['server_version']}"
        f" ({settings}), Kafka {machine['kafka']}, librdkafka {machine['librdkafka']}, {packages}."
        f" Chunks of {document['chunk']:,} records{f'; {own}' if own else ''}. Load average before:"
        f" {machine['load_before']}."
    )
    disturbed = [each["elsewhere_cores"] for each in document["trials"] if not each["error"]]
    if disturbed and Figure.of(disturbed).median > DISTURBED_CORES:
        yield (
            f"**Something else used {Figure.of(disturbed).median:.1f} cores of the machine meanwhile: the figures are"
            " lower than they would be.**"
        )


def _verdict(verdict: Verdict) -> tuple[str, ...]:
    return verdict.what, verdict.target, verdict.measured, WORDS[verdict.reached]


def _throughput(results: Results) -> list[str]:
    columns = (
        "shape",
        "contender",
        "records/s",
        "least to most",
        "consumer us",
        "PostgreSQL us",
        "broker us",
        "peak MB",
        "rounds",
    )
    return _table("Throughput and cost per record", columns, (_row(results, each) for each in results.measured()))


def _row(results: Results, measured: Measured) -> tuple[str, ...]:
    shape = results.document["shapes"][measured[0]]["title"]
    contender = results.document["contenders"][measured[1]]
    trials = results.trials(measured)
    rate = results.figure(measured, "rate")
    if rate is None:
        return (shape, contender, "failed", *[""] * 6)
    costs = [results.figure(measured, name) for name in ("consumer_us", "postgres_us", "kafka_us", "rss_mb")]
    medians = [figure.median if figure else 0.0 for figure in costs]
    return (
        shape,
        contender,
        f"{rate.median:,.0f}",
        f"{rate.least:,.0f} to {rate.most:,.0f}",
        *(f"{value:,.1f}" for value in medians[:3]),
        f"{medians[3]:,.0f}",
        str(len(trials)),
    )


def _freshness(results: Results) -> list[str]:
    fresh = results.document["freshness"]
    rows = [
        (
            f"{each['load']:.0%}",
            f"{each['rate']:,}",
            f"{each['p50']:.0f} ms",
            f"{each['p99']:.0f} ms",
            f"{each['most']:.0f} ms",
            str(each["probes"]),
        )
        for each in fresh.get("loads", [])
    ]
    if not rows:
        return []
    title = f"Freshness, at parts of a sustainable {fresh['sustainable']:,} records/s"
    return _table(title, ("load", "records/s", "p50", "p99", "longest", "probes"), rows)


def _stages(results: Results) -> list[str]:
    rows = []
    for shape, contender in results.measured():
        stages = results.stages((shape, contender))
        if stages:
            title = f"{results.document['shapes'][shape]['title']}, {results.document['contenders'][contender]}"
            rows.append((title, ", ".join(f"{name} {value:.1f}" for name, value in stages.items())))
    return (
        _table("Where the time goes, in microseconds per record, lanes added up", ("run", "stages"), rows)
        if rows
        else []
    )


def _errors(results: Results) -> list[str]:
    errors = results.document["errors"]
    return ["### Failed", *(f"```\n{error}\n```" for error in errors)] if errors else []


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [columns, ["---"] * len(columns), *rows]
    return [f"### {title}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
