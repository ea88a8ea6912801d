"""What the runs of `benchmarks.adapt` come to: rates, limits, and what the neighbours' transactions took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from benchmarks.figures import percentile


@dataclass(frozen=True)
class Phase:
    """A stretch of a run, in seconds since the epoch, and the machine's load average at its end."""

    title: str
    started: float
    ended: float
    load_average: float


@dataclass(frozen=True)
class Run:
    """One setting through all phases. `notes` are the consumer's own; latencies are (when, milliseconds) of pgbench's
    transactions: a light one throughout (`probe`), a heavy one in its phase (`load`)."""

    setting: str
    phases: Sequence[Phase]
    notes: Sequence[dict[str, Any]]
    probe: Sequence[tuple[float, float]]
    load: Sequence[tuple[float, float]]

    def rate(self, phase: Phase) -> float:
        """Rows per second settled in it."""
        within = [each for each in self.notes if phase.started <= each["at"] <= phase.ended]
        if len(within) < 2:
            return 0.0
        first, last = within[0], within[-1]
        return float((last["settled"] - first["settled"]) / (last["at"] - first["at"]))

    def limits(self, phase: Phase) -> list[int]:
        return [each["limit"] for each in self.notes if phase.started <= each["at"] <= phase.ended]

    def probed(self, phase: Phase) -> list[float]:
        return [took for at, took in self.probe if phase.started <= at <= phase.ended]

    def moves(self) -> list[str]:
        """Each move as it was said, as far as the notes caught it."""
        said: list[str] = []
        for each in self.notes:
            if each["last_move"] and each["last_move"] not in said[-1:]:
                said.append(each["last_move"])
        return said

    def brief(self) -> str:
        return ", ".join(f"{phase.title} {self.rate(phase):,.0f}/s" for phase in self.phases)

    def document(self) -> dict[str, Any]:
        """As kept: figures by phase, the course of the run twice a second, the moves."""
        start = self.notes[0]["at"]
        return {
            "setting": self.setting,
            "phases": [
                {
                    **{name: round(value - start, 2) for name, value in (("from", each.started), ("to", each.ended))},
                    "phase": each.title,
                    "load_average": each.load_average,
                    "rows_per_second": round(self.rate(each)),
                    "limits": sorted(set(self.limits(each))),
                    "probe_ms": _quantiles(self.probed(each)),
                }
                for each in self.phases
            ],
            "pgbench": {"transactions": len(self.load), "ms": _quantiles([took for _, took in self.load])},
            "course": [
                {
                    "at": round(each["at"] - start, 2),
                    "settled": each["settled"],
                    "limit": each["limit"],
                    "chunk": each["chunk_records"],
                }
                for each in self.notes[::2]
            ],
            "moves": self.moves(),
        }


def tables(runs: Sequence[Run]) -> str:
    """Markdown: medians would need more rounds, so means over the rounds of each setting."""
    titles = [phase.title for phase in runs[0].phases]
    settings = list(dict.fromkeys(run.setting for run in runs))

    def of(setting: str, figure: Callable[[Run], float]) -> float:
        return mean(figure(run) for run in runs if run.setting == setting)

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    rate = [line(["rows/s", *titles]), line(["---"] * (len(titles) + 1))]
    slow = [line(["99 % of the neighbour's transactions within, ms", *titles]), rate[1]]
    for setting in settings:
        rates = [of(setting, lambda run, n=n: run.rate(run.phases[n])) for n in range(len(titles))]
        waits = [
            of(setting, lambda run, n=n: percentile(run.probed(run.phases[n]) or [0.0], 0.99))
            for n in range(len(titles))
        ]
        rate.append(line([setting, *(f"{value:,.0f}" for value in rates)]))
        slow.append(line([setting, *(f"{value:,.0f}" for value in waits)]))
    heavy = [line(["pgbench", "transactions", "p50 ms", "p95 ms"]), line(["---"] * 4)]
    for setting in settings:
        took = [of(setting, lambda run, q=q: percentile([t for _, t in run.load] or [0.0], q)) for q in (0.5, 0.95)]
        heavy.append(
            line([setting, f"{of(setting, lambda run: len(run.load)):,.0f}", *(f"{value:.0f}" for value in took)])
        )
    return "\n\n".join("\n".join(lines) for lines in (rate, slow, heavy))


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    return {f"p{q}": round(percentile(values, q / 100), 1) for q in (50, 95, 99)} if values else {}
