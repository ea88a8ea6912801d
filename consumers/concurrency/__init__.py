"""Structured concurrency: the one place that knows greenlets.

A `Scope` is the only way to start a greenlet, and nothing it started outlives it. `NativeThread` runs blocking calls
of C libraries that would otherwise stop every greenlet, and `Bridge` lets such a thread ask the greenlets something.
All time that the engine measures or waits for comes from one `Clock`, so that a test can have another.
"""

from gevent import Timeout
from gevent.queue import Channel

from consumers.concurrency.clock import Clock, Event, monotonic, native_sleep, sleep, use_clock
from consumers.concurrency.native import Bridge, NativeThread
from consumers.concurrency.permits import Permits
from consumers.concurrency.process import end_thread, is_patched, on_signals, patch_for_command
from consumers.concurrency.scope import Scope, Stopped, heed_end, in_scope
from consumers.concurrency.watchdog import Watchdog, stacks
from consumers.concurrency.workers import Deadline, TooSlow, in_worker, run_workers

__all__ = [
    "Bridge",
    "Channel",
    "Clock",
    "Deadline",
    "Event",
    "NativeThread",
    "Permits",
    "Scope",
    "Stopped",
    "Timeout",
    "TooSlow",
    "Watchdog",
    "end_thread",
    "heed_end",
    "in_scope",
    "in_worker",
    "is_patched",
    "monotonic",
    "native_sleep",
    "on_signals",
    "patch_for_command",
    "run_workers",
    "sleep",
    "stacks",
    "use_clock",
]
