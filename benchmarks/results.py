"""The results of a run, as kept in its JSON, and figures taken from them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure

Measured = tuple[str, str]
"""A shape and a contender, by name."""


@dataclass(frozen=True)
class Results:
    """One run's document."""

    document: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Results:
        """
        Raises:
            OSError, ValueError: there is no such file, or it is no JSON.
        """
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def write(self, folder: Path) -> Path:
        """Keep them in a file named after the run's start; returns its path."""
        folder.mkdir(parents=True, exist_ok=True)
        name = self.document["started"].split("+")[0].replace(":", "").replace("-", "").replace("T", "-")
        path = folder / f"{name}.json"
        path.write_text(json.dumps(self.document, indent=1) + "\n", encoding="utf-8")
        return path

    def trials(self, measured: Measured) -> list[dict[str, Any]]:
        """Those that went well."""
        shape, contender = measured
        every: Iterable[dict[str, Any]] = self.document["trials"]
        return [
            each for each in every if (each["shape"], each["contender"]) == (shape, contender) and not each["error"]
        ]

    def figure(self, measured: Measured, column: str) -> Figure | None:
        """A column's median and spread over the rounds; None if it was not measured."""
        values = [each[column] for each in self.trials(measured)]
        return Figure.of(values) if values else None

    def ratio(self, of: Measured, to: Measured, column: str = "rate") -> Figure | None:
        """One divided by the other, round by round where both were measured in it; else that of the medians."""
        upper, lower = ({each["round"]: each[column] for each in self.trials(pair)} for pair in (of, to))
        values = [upper[number] / lower[number] for number in upper if lower.get(number)]
        return Figure.of(values) if values else None

    def measured(self) -> list[Measured]:
        """What was measured, in the order of its first trial."""
        return list(dict.fromkeys((each["shape"], each["contender"]) for each in self.document["trials"]))

    def stages(self, measured: Measured) -> dict[str, float]:
        """Microseconds per record by stage of the pipeline, the median over the rounds; empty if not reported.

        They are of wall-clock time, summed over lanes that overlap; `settle` is without the `write` inside it.
        """
        found = [(_apart(each["stages"]), each["records"]) for each in self.trials(measured) if each["stages"]]
        names = dict.fromkeys(name for stages, _ in found for name in stages)
        return {
            name: Figure.of([stages.get(name, 0.0) / records * 1e6 for stages, records in found]).median
            for name in names
        }


def _apart(stages: dict[str, float]) -> dict[str, float]:
    """Without the one stage that is inside another."""
    if "settle" not in stages:
        return stages
    return {**stages, "settle": stages["settle"] - stages.get("write", 0.0)}


def newest(folder: Path) -> Path | None:
    """The latest run kept there."""
    return max(folder.glob("*.json"), default=None)
