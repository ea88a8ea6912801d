"""Metrics as text: Prometheus's format (version 0.0.4) and OpenMetrics 1.0, which differ in little.

Borrowed from the formats' own descriptions: prometheus.io/docs/instrumenting/exposition_formats and the OpenMetrics
specification.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from consumers.core.histogram import Histogram

Kind = Literal["counter", "gauge", "histogram"]
Value = float | Histogram

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass(frozen=True)
class Metric:
    """A metric's name, what kind it is, what it tells, and by what it is told apart. A counter's name ends in `_total`,
    and a unit in the name is a base unit: seconds, bytes."""

    name: str
    kind: Kind
    help: str
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class Sample:
    """A value of a metric; `labels` in the order of the metric's."""

    metric: Metric
    value: Value
    labels: Sequence[str] = ()


def render(samples: Iterable[Sample], *, is_open: bool = False) -> str:
    """The samples as text, each metric's together; with `is_open` as OpenMetrics."""
    families: dict[Metric, list[Sample]] = {}
    for sample in samples:
        families.setdefault(sample.metric, []).append(sample)
    lines = [line for metric, held in families.items() for line in _family(metric, held, is_open)]
    return "\n".join([*lines, "# EOF", ""] if is_open else [*lines, ""])


def is_open_metrics(accept: str) -> bool:
    """Whether an Accept header asks for OpenMetrics."""
    return "application/openmetrics-text" in accept


def type_of(is_open: bool) -> str:
    """The Content-Type."""
    return OPEN if is_open else PLAIN


def merge(texts: Mapping[str, str], label: str, own: str = "", *, is_open: bool = False) -> str:
    """Several texts as one, each sample with the name of its text under a further label; those of `own` without one.
    All are in the same format."""
    heads: dict[str, list[str]] = {}
    held: dict[str, list[str]] = {}
    for name, text in {"": own, **texts}.items():
        for family, line in _lines(text):
            known = heads.setdefault(family, [])
            if not line.startswith("# "):
                held.setdefault(family, []).append(_with_label(line, f'{label}="{_escape(name)}"') if name else line)
            elif line not in known:
                known.append(line)
    lines = [line for family, head in heads.items() for line in (*head, *held.get(family, ()))]
    return "\n".join([*lines, "# EOF", ""] if is_open else [*lines, ""])


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """(family, line), but for the end of OpenMetrics."""
    family = ""
    for line in text.splitlines():
        if line.startswith("# ") and line != "# EOF":
            family = line.split(" ", 3)[2]
        if line and line != "# EOF":
            yield family, line


def _family(metric: Metric, samples: Sequence[Sample], is_open: bool) -> Iterable[str]:
    name = metric.name.removesuffix("_total") if is_open else metric.name
    yield f"# HELP {name} {_escape_help(metric.help)}"
    yield f"# TYPE {name} {metric.kind}"
    for sample in samples:
        labels = [f'{key}="{_escape(value)}"' for key, value in zip(metric.labels, sample.labels, strict=True)]
        if isinstance(sample.value, Histogram):
            yield from _buckets(metric.name, labels, sample.value)
        else:
            yield f"{metric.name}{_braced(labels)} {_number(sample.value)}"


def _buckets(name: str, labels: list[str], histogram: Histogram) -> Iterable[str]:
    counts = histogram.cumulative
    for bound, count in zip([*histogram.bounds, float("inf")], counts, strict=True):
        edge = f'le="{_number(float(bound))}"'
        yield f"{name}_bucket{_braced([*labels, edge])} {count}"
    yield f"{name}_sum{_braced(labels)} {_number(histogram.sum)}"
    yield f"{name}_count{_braced(labels)} {counts[-1]}"


def _braced(labels: list[str]) -> str:
    return f"{{{','.join(labels)}}}" if labels else ""


def _with_label(line: str, label: str) -> str:
    name, space, rest = line.partition(" ")
    if "{" in name:
        at = line.index("{") + 1
        return f"{line[:at]}{label},{line[at:]}"
    return f"{name}{{{label}}}{space}{rest}"


def _number(value: float) -> str:
    return "+Inf" if value == float("inf") else repr(value)


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _escape_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")
