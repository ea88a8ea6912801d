"""Rounds of their own for what is a loss by somebody else's hand, and what `reconcile` must say of it."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.servers import Servers


def play(servers: Servers, folder: Path) -> dict[str, list[str]]:
    """By scenario, what was wrong."""
    return {}
