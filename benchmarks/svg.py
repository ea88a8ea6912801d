"""Bar charts as SVG, drawn by hand: a few rectangles need no library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, LABELS, VALUES = 880, 310, 140
ROW, BAR, TOP = 26, 16, 58
COLOURS = ("#2f6f9f", "#e08a3c", "#6a9f58", "#a05a8c", "#c9a227", "#7f8c8d", "#b5524a")
INK, PALE, PAPER = "#1f2933", "#52606d", "#ffffff"


@dataclass(frozen=True)
class Bar:
    """A bar of one or several parts, laid end to end; `spread` is drawn as a line from the least to the most."""

    label: str
    parts: Sequence[float]
    text: str
    spread: tuple[float, float] | None = None
    colour: int = 0


def chart(title: str, bars: Sequence[Bar], legend: Sequence[str] = ()) -> str:
    """An SVG document with a bar per line. `legend` names the parts, in their order."""
    largest = max((max(sum(bar.parts), bar.spread[1] if bar.spread else 0) for bar in bars), default=0) or 1
    scale = (WIDTH - LABELS - VALUES) / largest
    height = TOP + ROW * len(bars) + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' font-family="sans-serif" font-size="13" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>',
        f'<text x="12" y="24" font-size="15" font-weight="bold" fill="{INK}">{escape(title)}</text>',
        *_legend(legend),
    ]
    for number, bar in enumerate(bars):
        lines += _bar(bar, TOP + ROW * number, scale)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _legend(names: Sequence[str]) -> list[str]:
    lines = []
    step = min(150, (WIDTH - 24) / max(1, len(names)))
    for number, name in enumerate(names):
        x = 12 + number * step
        lines.append(f'<rect x="{x:.0f}" y="34" width="12" height="12" fill="{COLOURS[number % len(COLOURS)]}"/>')
        lines.append(f'<text x="{x + 18:.0f}" y="45" fill="{INK}">{escape(name)}</text>')
    return lines


def _bar(bar: Bar, y: int, scale: float) -> list[str]:
    middle = y + BAR / 2
    lines = [f'<text x="{LABELS - 10}" y="{middle + 5:g}" text-anchor="end" fill="{INK}">{escape(bar.label)}</text>']
    x: float = LABELS
    for number, part in enumerate(bar.parts):
        colour = COLOURS[(bar.colour + number) % len(COLOURS)]
        lines.append(f'<rect x="{x:.1f}" y="{y}" width="{part * scale:.1f}" height="{BAR}" fill="{colour}"/>')
        x += part * scale
    if bar.spread:
        least, most = (LABELS + value * scale for value in bar.spread)
        lines.append(f'<path d="M{least:.1f} {middle:g}H{most:.1f}" stroke="{INK}" stroke-width="2"/>')
        x = max(x, most)
    lines.append(f'<text x="{x + 8:.1f}" y="{middle + 5:g}" fill="{PALE}">{escape(bar.text)}</text>')
    return lines
