"""The garbage collector, set for a process that makes and drops rows by the thousand."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_THRESHOLDS = (50_000, 20, 50)
"""Few objects of a chunk are part of a cycle; reference counting frees the others as soon as it is settled."""


@contextmanager
def calm_collector() -> Iterator[None]:
    """While the block lasts, what exists now is never looked at again, and the rest more seldom."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
