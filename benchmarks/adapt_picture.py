"""The adaptive experiment as a picture: the course of the adaptive setting, and each load's rates beside the fixed."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from benchmarks.adapt_report import Findings
from benchmarks.figures import percentile
from benchmarks.svg import COLOURS, INK, PALE, PAPER

WIDTH, LEFT, RIGHT, TOP, PANEL, GAP = 960, 70, 16, 56, 110, 34
SHADE = "#eef2f5"
WINDOW = 1.0
"""Seconds over which rates and latencies are taken."""
Points = list[tuple[float, float]]


def draw(found: Findings) -> str:
    """An SVG document: three panels over the course's time, then bars by load and setting."""
    length = found.of("course")[-1].ended - found.start
    panels: list[tuple[str, Points]] = [
        ("rows per second", _rates(found, length)),
        ("lanes that may write at once (of 16)", [(at, note["limit"]) for at, note in _course(found, length)]),
        ("records in a chunk", [(at, note["chunk_records"]) for at, note in _course(found, length)]),
        ("a light neighbour's transactions, 95 % within, ms", _waits(found, length)),
    ]
    lines: list[str] = []
    scale = (WIDTH - LEFT - RIGHT) / length
    top = TOP
    for number, (title, points) in enumerate(panels):
        lines += _phases(found, top, scale, named=number == 0)
        lines += _panel(title, points, top, scale, length)
        top += PANEL + GAP
    bars, height = _bars(found, top)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
            f' height="{height}" font-family="sans-serif" font-size="12" role="img">',
            "<title>Adaptive parallelism while loads come and go, and fixed parallelism beside it</title>",
            f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>',
            _text(LEFT, 18, "The adaptive setting while loads come and go (seconds)", bold=True),
            *lines,
            *bars,
            "</svg>\n",
        ]
    )


def _text(x: float, y: float, text: str, *, bold: bool = False, anchor: str = "start", colour: str = INK) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}"{weight}>{escape(text)}</text>'


def _course(found: Findings, length: float) -> list[tuple[float, dict[str, float]]]:
    timed = [(note["at"] - found.start, note) for note in found.notes]
    return [(at, note) for at, note in timed if 0 <= at <= length]


def _rates(found: Findings, length: float) -> Points:
    points: Points = []
    course = _course(found, length)
    for (before, earlier), (at, later) in zip(course, course[round(WINDOW * 4) :], strict=False):
        points.append((at, (later["settled"] - earlier["settled"]) / (at - before)))
    return points


def _waits(found: Findings, length: float) -> Points:
    points: Points = []
    for second in range(int(length / WINDOW)):
        start = found.start + second * WINDOW
        took = [ms for at, ms in found.probe if start <= at < start + WINDOW]
        if took:
            points.append(((second + 0.5) * WINDOW, percentile(took, 0.95)))
    return points


def _phases(found: Findings, top: float, scale: float, *, named: bool) -> list[str]:
    lines = []
    for block in found.of("course"):
        x, width = LEFT + (block.started - found.start) * scale, (block.ended - block.started) * scale
        if block.phase in ("pgbench", "lock held", "processors taken"):
            lines.append(f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{PANEL}" fill="{SHADE}"/>')
        if named and block.phase != "after the lock":  # a narrow one beside it says it all
            lines.append(_text(x + width / 2, top - 18, block.phase, anchor="middle", colour=PALE))
    return lines


def _panel(title: str, points: Points, top: float, scale: float, length: float) -> list[str]:
    highest = max((value for _, value in points), default=0) or 1.0
    bottom = top + PANEL
    path = " ".join(f"{LEFT + at * scale:.1f},{bottom - value / highest * PANEL:.1f}" for at, value in points)
    ticks = [
        _text(LEFT + at * scale, bottom + 13, str(at), anchor="middle", colour=PALE) for at in range(0, int(length), 5)
    ]
    return [
        _text(LEFT, top - 4, title, bold=True),
        f'<path d="M{LEFT} {top}V{bottom}H{LEFT + length * scale:.1f}" fill="none" stroke="{PALE}"/>',
        _text(LEFT - 6, top + 10, f"{highest:,.0f}", anchor="end", colour=PALE),
        _text(LEFT - 6, bottom, "0", anchor="end", colour=PALE),
        *ticks,
        f'<polyline points="{path}" fill="none" stroke="{COLOURS[0]}" stroke-width="1.8"/>',
    ]


def _bars(found: Findings, top: float) -> tuple[list[str], float]:
    """Rates by load and setting, and where the picture ends."""
    lines = [_text(LEFT, top + 4, "Rows per second, all settings in turn under each load", bold=True)]
    compared = [line for line in found.compared() if line["load"] != "lock held"]
    settings: Sequence[str] = list(dict.fromkeys(line["setting"] for line in compared))
    scale = (WIDTH - 2 * LEFT - 220) / max(line["rows_per_second"] for line in compared)
    y, load = top + 14.0, ""
    for line in compared:
        if line["load"] != load:
            load, y = line["load"], y + 8
        colour, width = COLOURS[settings.index(line["setting"])], line["rows_per_second"] * scale
        label = f"{load}: {line['setting']}"
        lines.append(_text(LEFT + 150, y + 11, label, anchor="end"))
        lines.append(f'<rect x="{LEFT + 158}" y="{y}" width="{width:.1f}" height="13" fill="{colour}"/>')
        lines.append(_text(LEFT + 164 + width, y + 11, f"{line['rows_per_second']:,}", colour=PALE))
        y += 16
    return lines, y + 12
