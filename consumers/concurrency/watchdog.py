"""When no greenlet runs any more: who notices, and what is said then."""

from __future__ import annotations

import faulthandler
import os

import gevent.util
from gevent import monkey

from consumers.concurrency.clock import native_sleep, sleep


class Watchdog:
    """A thread outside the greenlets that ends the process when one of them has kept all others from running for too
    long: better restarted by its supervisor than silent while its partitions wait."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._beats = 0
        self._is_over = False

    def beat(self) -> None:
        """Show every second that greenlets run, until killed; run it in a scope."""
        monkey.get_original("_thread", "start_new_thread")(self._watch, ())
        try:
            while True:
                self._beats += 1
                sleep(0.5)
        finally:
            self._is_over = True

    def _watch(self) -> None:
        """Counts seconds without a beat itself: after a freeze of the whole process a clock would accuse wrongly."""
        seen, missed = -1, 0
        while not self._is_over:
            native_sleep(1)
            missed = missed + 1 if self._beats == seen else 0
            seen = self._beats
            if missed >= self._seconds:
                os.write(2, f"no greenlet has run for {missed} s: the process ends, here is what it did\n".encode())
                faulthandler.dump_traceback(all_threads=True)
                os._exit(1)


def stacks() -> str:
    """The stack traces of all greenlets and threads, for a log."""
    return "\n".join(gevent.util.format_run_info())
