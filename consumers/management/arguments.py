"""Types of command-line arguments: each turns text into a value or says what was expected."""

from __future__ import annotations

import argparse
from datetime import datetime

from django.utils import timezone
from django.utils.dateparse import parse_datetime


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return int(text)


def port(text: str) -> int:
    """A TCP port."""
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise argparse.ArgumentTypeError(f"must be a port from 1 to 65535, not {text!r}")
    return int(text)


def whole(text: str) -> int:
    """A whole number, 0 included."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}")
    return int(text)


def moment(text: str) -> datetime:
    """A date and time, in the project's time zone unless it names another; a date alone is its midnight."""
    try:
        parsed = parse_datetime(text) or parse_datetime(f"{text}T00:00:00")
    except ValueError:
        parsed = None
    if parsed is None:
        raise argparse.ArgumentTypeError(f"must be a time such as 2026-11-24T20:00 or a date, not {text!r}")
    return parsed if timezone.is_aware(parsed) else timezone.make_aware(parsed)


def seconds(text: str) -> float:
    """A number of seconds above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, not {text!r}")
    return value
