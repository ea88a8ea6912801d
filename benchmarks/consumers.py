"""Consumers that only the benchmark runs; `benchmarks.settings` installs them."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from ads.consumers import Campaigns, ClickConsumer
from ads.events import ClickEvent
from ads.models import Click
from benchmarks.shapes import IO_LANES, IO_SECONDS, IO_WORKERS
from consumers.api import register


@register("bench_models")
class ModelConsumer(ClickConsumer):
    """Clicks as Model instances made by keyword, in place of the project's own cheaper rows."""

    row: ClassVar[type[Any]] = Click


@register("bench_io")
class WaitingConsumer(ClickConsumer):
    """Clicks whose handler asks a service that answers after 20 ms. Each lane has its share of the 200 workers."""

    max_concurrency: ClassVar[int] = IO_WORKERS // IO_LANES

    def process(self, event: ClickEvent, campaigns: Campaigns) -> Any:
        time.sleep(IO_SECONDS)  # cooperative, as any waiting on a socket is
        return super().process(event, campaigns)
