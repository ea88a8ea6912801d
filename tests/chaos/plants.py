"""Bugs to build into the consumers of a round, so that the oracle's eyesight can be tested. Victims only do so when
CHAOS_PLANT says it; the engine itself has no switch for any of them."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

ONE_FAILURE_IN = 5
ONE_RECORD_IN = 2_000


@dataclass(frozen=True)
class Plant:
    """A bug, and the sentence with which the oracle must tell of it."""

    build_in: Callable[[], None]
    """Changes the engine of this process. Django's apps must be loaded."""
    sentence: str
    """A regular expression. Where records are at stake it asks for topic, partition and offset."""


def fencing_off() -> None:
    """The ledger takes whoever comes for the holder of the partition."""
    from consumers.core.ledger import judge
    from consumers.pipeline import progress

    progress.judge = lambda lines, spans, epochs: judge(lines, spans, {each: lines[each].epoch for each in spans})


def fencing_and_join_off() -> None:
    """The same, nor does it look whether a chunk joins on to what was settled: a zombie's chunk is written."""
    from consumers.core.ledger import Standing
    from consumers.pipeline import progress

    progress.judge = lambda lines, spans, epochs: Standing.DUE


def lost_commit_repeats() -> None:
    """A chunk whose COMMIT took, although nobody heard of it, is written again."""
    from consumers.core.ledger import Standing, judge
    from consumers.pipeline import progress

    def forgetful(*arguments: Any) -> Standing:
        judge(*arguments)
        return Standing.DUE

    progress.judge = forgetful


def commit_before_write() -> None:
    """The ledger moves in a transaction of its own, the rows follow in the next: a crash between the two loses them."""
    from django.db import transaction

    from consumers.core.outcomes import Outcomes
    from consumers.pipeline.flow import Flow
    from consumers.pipeline.write import Writer

    write, settle = Writer.write, Flow.settle
    own = threading.local()

    class Undone(Exception):
        pass

    def write_later(writer: Any, units: Any, outcomes: Any) -> None:
        own.later = (writer, units)
        try:
            with transaction.atomic(using=writer.using):
                write(writer, units, outcomes)
                raise Undone
        except Undone:
            pass

    def settle_first(*arguments: Any) -> None:
        own.later = None
        settle(*arguments)
        if own.later:
            writer, units = own.later
            with transaction.atomic(using=writer.using):
                write(writer, units, Outcomes())

    Writer.write, Flow.settle = write_later, settle_first  # type: ignore[method-assign]


def double_effect() -> None:
    """When a chunk is tried again after an outage, `on_written` runs twice."""
    from consumers.pipeline.flow import Flow
    from consumers.pipeline.table import Table

    settle, on_written = Flow.settle, Table.on_written
    own = threading.local()

    def count(flow: Any, processed: Any, *arguments: Any) -> None:
        own.again = hasattr(processed, "tried")
        object.__setattr__(processed, "tried", True)
        settle(flow, processed, *arguments)

    def effect(table: Any, rows: Any) -> None:
        for _ in range(1 + own.again):
            on_written(table, rows)

    Flow.settle, Table.on_written = count, effect  # type: ignore[method-assign]


def drop_records() -> None:
    """One record in some thousands never reaches its table, and the books are cooked."""
    from consumers.pipeline.write import Writer

    write = Writer.write

    def is_dropped(record: Any) -> bool:
        place = f"{record.topic.partition('.')[2]}:{record.partition}:{record.offset}"
        return zlib.crc32(place.encode()) % ONE_RECORD_IN == 0

    def cook(writer: Any, units: Sequence[Any], outcomes: Any) -> None:
        for unit in filter(lambda each: is_dropped(each.record), units):
            outcomes.wrote(unit.record, len(unit.rows))
        write(writer, [unit for unit in units if not is_dropped(unit.record)], outcomes)

    Writer.write = cook  # type: ignore[method-assign]


def forget_failures() -> None:
    """Some failures are counted but not kept."""
    from consumers.pipeline import progress

    store = progress.store_failures

    def forgetful(failures: Sequence[Any], **names: Any) -> None:
        store([each for each in failures if each.record.offset % ONE_FAILURE_IN], **names)

    progress.store_failures = forgetful


def outage_as_failure() -> None:
    """A full disk is taken for the record's fault."""
    from consumers.pipeline import isolate, round
    from consumers.postgres.errors import describe

    blames = isolate.blames_records

    def blames_more(error: BaseException) -> bool:
        return blames(error) or "No space left" in describe(error)

    isolate.blames_records = round.blames_records = blames_more  # type: ignore[attr-defined]


def leave_a_greenlet() -> None:
    """Something outlives the command."""
    import gevent

    gevent.spawn(gevent.sleep, 3600)


_PLACE = r"\S+\[\d+\]@\d+"

PLANTS = {
    "fencing-off": Plant(fencing_off, r"ended by itself with 1: .*does not join on to the ledger: \S+\[\d+\]: .*\d+"),
    "fencing-and-join-off": Plant(fencing_and_join_off, rf"TWICE: .*{_PLACE}.* (moved back|written a second time)"),
    "lost-commit-repeats": Plant(lost_commit_repeats, rf"TWICE: .*{_PLACE}.* written a second time"),
    "commit-before-write": Plant(commit_before_write, rf"MISSING: .* {_PLACE}"),
    "double-effect": Plant(double_effect, rf"balance of .*: .* {_PLACE}.* counted twice"),
    "drop-records": Plant(drop_records, rf"MISSING: .* {_PLACE}"),
    "forget-failures": Plant(forget_failures, rf"MISSING: {_PLACE}.* not among the failed records"),
    "outage-as-failure": Plant(outage_as_failure, rf"valid {_PLACE}.* failed record: handler_error"),
    "leave-a-greenlet": Plant(leave_a_greenlet, "left behind: .*Greenlet"),
}
