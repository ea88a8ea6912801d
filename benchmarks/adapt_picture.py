"""The course of the adaptive experiment as a picture: three panels over one time axis, phases shaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from benchmarks.adapt_report import Run
from benchmarks.figures import percentile
from benchmarks.svg import COLOURS, INK, PALE, PAPER

WIDTH, LEFT, RIGHT, TOP, PANEL, GAP = 960, 70, 16, 64, 150, 34
STEP = 1.0
Points = list[tuple[float, float]]


def draw(runs: Sequence[Run]) -> str:
    """An SVG document of the first run of each setting."""
    first = {run.setting: run for run in reversed(runs)}
    shown = [first[name] for name in dict.fromkeys(run.setting for run in runs)]
    length = max(run.phases[-1].ended - run.notes[0]["at"] for run in shown)
    panels: list[tuple[str, Callable[[Run], Points]]] = [
        ("rows per second", _rates),
        (
            "lanes that may write at once",
            lambda run: [(each["at"] - run.notes[0]["at"], each["limit"]) for each in run.notes],
        ),
        ("a neighbour's transaction, 95 % within, ms", _waits),
    ]
    height = TOP + len(panels) * (PANEL + GAP) + 10
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        ' font-family="sans-serif" font-size="12" role="img">',
        "<title>Adaptive and fixed parallelism while loads come and go</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>',
        *_legend([run.setting for run in shown]),
    ]
    scale = (WIDTH - LEFT - RIGHT) / length
    for number, (title, points) in enumerate(panels):
        top = TOP + number * (PANEL + GAP)
        lines += _phases(shown[0], top, scale, named=number == 0)
        lines += _panel(title, [points(run) for run in shown], top, scale, length)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _rates(run: Run) -> Points:
    start, points = run.notes[0]["at"], []
    for earlier, later in zip(run.notes, run.notes[4:], strict=False):
        rate = (later["settled"] - earlier["settled"]) / (later["at"] - earlier["at"])
        points.append((later["at"] - start, rate))
    return points[::2]


def _waits(run: Run) -> Points:
    start, points = run.notes[0]["at"], []
    at = 0.0
    while start + at < run.phases[-1].ended:
        took = [ms for when, ms in run.probe if start + at <= when < start + at + STEP]
        if took:
            points.append((at + STEP, percentile(took, 0.95)))
        at += STEP
    return points


def _legend(names: Sequence[str]) -> list[str]:
    lines = []
    for number, name in enumerate(names):
        x = LEFT + number * 120
        lines.append(f'<rect x="{x}" y="12" width="12" height="12" fill="{COLOURS[number]}"/>')
        lines.append(f'<text x="{x + 18}" y="23" fill="{INK}">{escape(name)}</text>')
    return lines


def _phases(run: Run, top: float, scale: float, *, named: bool) -> list[str]:
    lines = []
    for number, phase in enumerate(run.phases):
        x = LEFT + (phase.started - run.notes[0]["at"]) * scale
        width = (phase.ended - phase.started) * scale
        if number % 2:
            lines.append(f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{PANEL}" fill="#f0f3f6"/>')
        if named:
            style = f'text-anchor="middle" fill="{PALE}" font-size="11"'
            lines.append(f'<text x="{x + width / 2:.1f}" y="{top - 20}" {style}>{escape(phase.title)}</text>')
    return lines


def _panel(title: str, series: Sequence[Points], top: float, scale: float, length: float) -> list[str]:
    highest = max((value for points in series for _, value in points), default=1.0) or 1.0
    bottom = top + PANEL
    lines = [
        f'<text x="{LEFT}" y="{top - 5}" font-weight="bold" fill="{INK}">{escape(title)}</text>',
        f'<path d="M{LEFT} {top}V{bottom}H{LEFT + length * scale:.1f}" fill="none" stroke="{PALE}"/>',
        f'<text x="{LEFT - 6}" y="{top + 10}" text-anchor="end" fill="{PALE}">{highest:,.0f}</text>',
        f'<text x="{LEFT - 6}" y="{bottom}" text-anchor="end" fill="{PALE}">0</text>',
    ]
    for number, points in enumerate(series):
        path = " ".join(
            f"{LEFT + at * scale:.1f},{bottom - value / highest * PANEL:.1f}" for at, value in points if at <= length
        )
        stroke = f'stroke="{COLOURS[number]}" stroke-width="{1.2 if number else 2}"'
        lines.append(f'<polyline points="{path}" fill="none" {stroke}/>')
    return lines
