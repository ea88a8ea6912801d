"""What `benchmarks.adapt` found: rates, limits, and what the neighbours' transactions took, by load and setting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import percentile

ADAPTIVE = "adaptive"
BEGIN, END = "<!-- adapt: begin (written by `python -m benchmarks.adapt`) -->", "<!-- adapt: end -->"
SETTLING = 1.0
"""Seconds at the start of a turn that are left out: what was begun under the last setting ends in them."""


@dataclass(frozen=True)
class Block:
    """A stretch of time, in seconds since the epoch, and the machine's load average at its end."""

    part: str
    phase: str
    setting: str
    started: float
    ended: float
    load_average: float


@dataclass(frozen=True)
class Findings:
    """`notes` are the consumer's own; latencies are (when, milliseconds) of pgbench's transactions: of a light one
    throughout (`probe`), of a busy one while that was the load."""

    blocks: Sequence[Block]
    notes: Sequence[dict[str, Any]]
    probe: Sequence[tuple[float, float]]
    load: Sequence[tuple[float, float]]

    @property
    def start(self) -> float:
        return float(self.blocks[0].started)

    def of(self, part: str, phase: str | None = None, setting: str | None = None) -> list[Block]:
        return [
            each
            for each in self.blocks
            if each.part == part and phase in (None, each.phase) and setting in (None, each.setting)
        ]

    def within(self, block: Block) -> list[dict[str, Any]]:
        return [each for each in self.notes if block.started + SETTLING <= each["at"] < block.ended]

    def rate(self, blocks: Iterable[Block]) -> float:
        """Rows per second settled in them."""
        rows = seconds = 0.0
        for block in blocks:
            notes = self.within(block)
            if len(notes) > 1:
                rows += notes[-1]["settled"] - notes[0]["settled"]
                seconds += notes[-1]["at"] - notes[0]["at"]
        return rows / seconds if seconds else 0.0

    def limits(self, blocks: Iterable[Block]) -> list[int]:
        return sorted({each["limit"] for block in blocks for each in self.within(block)})

    def waits(self, blocks: Iterable[Block], of: Sequence[tuple[float, float]]) -> list[float]:
        """Milliseconds of the transactions that ended in them."""
        return [took for block in blocks for at, took in of if block.started + SETTLING <= at <= block.ended]

    def moves(self) -> list[dict[str, Any]]:
        """Each move as it was said, as far as the notes caught it, with its second."""
        said: list[dict[str, Any]] = []
        for each in self.notes:
            if each["last_move"] and (not said or said[-1]["move"] != each["last_move"]):
                said.append({"at": round(each["at"] - self.start, 2), "move": each["last_move"]})
        return said

    def compared(self) -> list[dict[str, Any]]:
        """A line per load and setting, the adaptive one first."""
        phases = dict.fromkeys(block.phase for block in self.of("comparison"))
        settings = sorted({block.setting for block in self.of("comparison")}, key=_writers)
        lines = [self._line(phase, setting) for phase in phases for setting in settings]
        by_turn = {line["load"]: line["by_turn"] for line in lines if line["setting"] == ADAPTIVE}
        return [{**line, "to_adaptive": _ratios(line["by_turn"], by_turn[line["load"]])} for line in lines]

    def _line(self, phase: str, setting: str) -> dict[str, Any]:
        blocks = self.of("comparison", phase, setting)
        seconds = sum(block.ended - block.started - SETTLING for block in blocks)
        return {
            "load": phase,
            "setting": setting,
            "rows_per_second": round(self.rate(blocks)),
            "by_turn": [round(self.rate([block])) for block in blocks],
            "limits": self.limits(blocks),
            "probe_ms": _quantiles(self.waits(blocks, self.probe)),
            "pgbench_ms": _quantiles(self.waits(blocks, self.load)),
            "pgbench_tps": round(len(self.waits(blocks, self.load)) / seconds, 1),
            "load_average": [block.load_average for block in blocks],
        }

    def document(self) -> dict[str, Any]:
        """All that is kept."""
        course = self.of("course")
        return {
            "compared": self.compared(),
            "course": [
                {
                    "at": round(each["at"] - self.start, 2),
                    **{name: each[name] for name in ("settled", "limit", "chunk_records")},
                }
                for each in self.notes
                if course[0].started <= each["at"] <= course[-1].ended
            ],
            "moves": self.moves(),
        }


def tables(lines: Sequence[dict[str, Any]]) -> str:
    """Markdown, of what was compared: rates, and what it cost the two neighbours."""
    loads = list(dict.fromkeys(line["load"] for line in lines))
    settings = list(dict.fromkeys(line["setting"] for line in lines))
    by_pair = {(line["load"], line["setting"]): line for line in lines}

    def table(title: str, names: Sequence[str], cell: Callable[[dict[str, Any]], float], form: str = ",.0f") -> str:
        rows = [[title, *names], ["---", *["---:"] * len(names)]]
        rows += [[setting, *(format(cell(by_pair[load, setting]), form) for load in names)] for setting in settings]
        return "\n".join("| " + " | ".join(row) + " |" for row in rows)

    written = [load for load in loads if any(by_pair[load, setting]["rows_per_second"] for setting in settings)]
    busy = [load for load in loads if any(by_pair[load, setting]["pgbench_ms"] for setting in settings)]
    return "\n\n".join(
        (
            table("rows per second", written, lambda line: line["rows_per_second"]),
            table("beside the adaptive turn of its round, median", written, lambda line: line["to_adaptive"], ".2f"),
            table("a light neighbour's transactions: 95 % within, ms", loads, lambda line: line["probe_ms"]["p95"]),
            table("the busy pgbench: transactions per second", busy, lambda line: line["pgbench_tps"]),
            table("the busy pgbench: 95 % within, ms", busy, lambda line: line["pgbench_ms"]["p95"]),
        )
    )


def publish(page: Path, text: str) -> None:
    """Put the text between the page's two marks.

    Raises:
        ValueError: it lacks them.
    """
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} has no place for the tables: it lacks {BEGIN} or {END}")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def _writers(setting: str) -> int:
    """Of a fixed setting; the adaptive one is 0."""
    return int("".join(filter(str.isdigit, setting)) or 0)


def _ratios(rates: Sequence[float], adaptive: Sequence[float]) -> float | None:
    """The median over the rounds, each of a turn of both; None if nothing was written."""
    ratios = [rate / other for rate, other in zip(rates, adaptive, strict=True) if other]
    return round(median(ratios), 3) if ratios else None


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    return {f"p{q}": round(percentile(values, q / 100), 1) for q in (50, 95, 99)} if values else {}
