"""What `python -m benchmarks run` can be told."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.commands import CHECKOUT
from benchmarks.entrants import CONTENDERS, Contender
from benchmarks.shapes import SHAPES, Shape

RESULTS = CHECKOUT / "benchmarks" / "results"
T = TypeVar("T")
LOADS = (0.1, 0.5, 0.9)


class WrongUsage(Exception):
    """The command line asks for something that there is not; the message says what there is."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run measures. `pairs` are the (shape, contender) that alternate in each round."""

    pairs: Sequence[tuple[Shape, Contender]]
    records: int
    rounds: int
    loads: Sequence[float]
    """Of the freshness measurement, as parts of the sustainable rate; empty: it is left out."""
    load_seconds: int
    trial_seconds: float
    settings: Mapping[str, str]
    """Of PostgreSQL, in place of the local stack's."""
    results: Path
    is_complete: bool
    """Nothing was left out but what takes long: such a run goes into the docs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="one round of few records: about three minutes")
    parser.add_argument(
        "--large", action="store_true", help="also 10 million rows and records: a quarter of an hour more"
    )
    parser.add_argument("--only", default="", metavar="A,B", help=f"contenders: {', '.join(CONTENDERS)}")
    parser.add_argument("--shapes", default="", metavar="A,B", help=f"shapes: {', '.join(SHAPES)}")
    parser.add_argument("--rounds", type=_positive, help="3 unless told (1 with --quick)")
    parser.add_argument("--records", type=_positive, help="of clean clicks; 250,000 unless told (50,000 with --quick)")
    parser.add_argument(
        "--freshness",
        action=argparse.BooleanOptionalAction,
        help="the latencies under a steady load: measured unless --only or --shapes asks for a part of the rest",
    )
    parser.add_argument(
        "--postgres",
        action="append",
        default=[],
        type=_setting,
        metavar="NAME=VALUE",
        help="a setting of PostgreSQL's for this run, such as shared_buffers=4GB; may be given several times",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="where the JSON goes")


def plan(chosen: argparse.Namespace) -> Plan:
    """The plan that the options make.

    Raises:
        WrongUsage: a shape or contender is unknown, or nothing is left to measure.
    """
    shapes, contenders = _named(chosen.shapes, SHAPES, "shape"), _named(chosen.only, CONTENDERS, "contender")
    pairs = [
        (shape, contenders[name])
        for shape in shapes.values()
        for name in shape.contenders
        if name in contenders and (chosen.large or chosen.shapes or not shape.only_large)
    ]
    if not pairs:
        raise WrongUsage(f"no shape of --shapes is run by a contender of --only: {_who_runs_what()}")
    is_part = bool(chosen.only or chosen.shapes)
    with_freshness = not is_part if chosen.freshness is None else chosen.freshness
    return Plan(
        pairs=pairs,
        records=chosen.records or (50_000 if chosen.quick else 250_000),
        rounds=chosen.rounds or (1 if chosen.quick else 3),
        loads=(() if not with_freshness else (0.5,) if chosen.quick else LOADS),
        load_seconds=5 if chosen.quick else 15,
        trial_seconds=1800.0 if any(shape.only_large for shape, _ in pairs) else 300.0,
        settings=dict(chosen.postgres),
        results=chosen.results,
        is_complete=with_freshness and not (is_part or chosen.quick or chosen.postgres),
    )


def _named(text: str, known: Mapping[str, T], what: str) -> Mapping[str, T]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise WrongUsage(f"there is no {what} {', '.join(unknown)}; there are {', '.join(known)}")
    return {name: known[name] for name in names} if names else known


def _who_runs_what() -> str:
    return "; ".join(f"{shape.name}: {', '.join(shape.contenders)}" for shape in SHAPES.values())


def _setting(text: str) -> tuple[str, str]:
    name, given, value = text.partition("=")
    if not (name and given and value):
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, such as shared_buffers=4GB, not {text!r}")
    return name, value


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return int(text)
