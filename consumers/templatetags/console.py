"""Filters of the console's templates: numbers and spans of time as people read them."""

from __future__ import annotations

from datetime import timedelta

from django import template

from consumers.admin.visible import visible

register = template.Library()


@register.filter
def number(value: float | None) -> str:
    """A whole number with commas; small fractions keep one digit."""
    if value is None:
        return "unknown"
    return f"{value:,.1f}" if abs(value) < 10 and value != int(value) else f"{value:,.0f}"


@register.filter
def span(value: timedelta | float | None) -> str:
    """A span of time in its two largest units."""
    if value is None:
        return "unknown"
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, name, smaller, smaller_name in _UNITS:
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{whole} s"


_UNITS = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s"))


@register.filter(name="visible")
def shown(text: object) -> str:
    """Text of which every character can be seen."""
    return visible(str(text))


@register.filter
def percent(share: float) -> str:
    """A share of 1."""
    return "under 1 %" if 0 < share < 0.01 else f"{share:.0%}".replace("%", " %")
