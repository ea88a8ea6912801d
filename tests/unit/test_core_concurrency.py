"""Structured concurrency: nothing outlives its block, and every error comes out of it."""

# ruff: noqa: PT012  (what is raised comes out of the block as a whole)

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.concurrency import (
    Bridge,
    Event,
    NativeThread,
    Permits,
    Scope,
    Stopped,
    heed_end,
    in_worker,
    native_sleep,
    run_workers,
    sleep,
)

T = TypeVar("T")

FOREVER = 60.0
"""Seconds; no test waits as long, for what waits is cancelled."""


class Ended:
    """Notes which tasks were let go."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def waiting(self, name: str) -> Callable[[], None]:
        def task() -> None:
            try:
                sleep(FOREVER)
            finally:
                sleep(0)  # cleaning up may itself wait
                self.names.append(name)

        return task


def fail_with(error: BaseException) -> Callable[[], None]:
    def task() -> None:
        sleep(0)
        raise error

    return task


# ---- Scope ----------------------------------------------------------------------------------------------------------


def test_a_scope_ends_only_when_all_its_tasks_have_ended() -> None:
    done: list[int] = []

    def task(number: int) -> None:
        for _ in range(number):
            sleep(0)
        done.append(number)

    with Scope() as scope:
        for number in (5, 1, 3):
            scope.spawn(task, number)
    assert done == [1, 3, 5]


def test_a_task_may_spawn_into_its_scope() -> None:
    done: list[str] = []
    with Scope() as scope:
        scope.spawn(lambda: scope.spawn(lambda: scope.spawn(done.append, "grandchild")))
    assert done == ["grandchild"]


def test_the_first_error_cancels_the_siblings_and_comes_out() -> None:
    ended = Ended()
    with pytest.raises(ValueError, match="first"), Scope() as scope:
        scope.spawn(ended.waiting("sibling"))
        scope.spawn(fail_with(ValueError("first")))
    assert ended.names == ["sibling"]


def test_the_body_is_interrupted_by_an_error_of_a_task() -> None:
    reached = []
    with pytest.raises(ValueError, match="task"), Scope() as scope:
        scope.spawn(fail_with(ValueError("task")))
        sleep(FOREVER)
        reached.append("after the wait")
    assert reached == []


def test_an_error_of_the_body_cancels_the_tasks() -> None:
    ended = Ended()
    with pytest.raises(LookupError, match="body"), Scope() as scope:
        scope.spawn(ended.waiting("task"))
        sleep(0)
        raise LookupError("body")
    assert ended.names == ["task"]


def test_several_errors_come_out_together() -> None:
    def fails_when_cancelled() -> None:
        try:
            sleep(FOREVER)
        finally:
            raise KeyError("while cleaning up")

    with pytest.raises(ExceptionGroup) as caught, Scope() as scope:
        scope.spawn(fails_when_cancelled)
        scope.spawn(fail_with(ValueError("first")))
    assert [type(error) for error in caught.value.exceptions] == [ValueError, KeyError]


def test_the_interruption_of_a_body_cannot_be_swallowed_as_an_exception() -> None:
    assert not issubclass(Stopped, Exception)


def test_an_interruption_that_the_body_swallowed_does_not_hide_the_error() -> None:
    with pytest.raises(ValueError, match="task"), Scope() as scope:
        scope.spawn(fail_with(ValueError("task")))
        with suppress(BaseException):
            sleep(FOREVER)


def test_a_cancelled_scope_ends_without_an_error() -> None:
    ended = Ended()
    with Scope() as scope:
        scope.spawn(ended.waiting("task"))
        sleep(0)
        scope.cancel()
    assert ended.names == ["task"]


def test_a_task_that_never_ran_can_be_cancelled() -> None:
    with Scope() as scope:
        scope.spawn(sleep, FOREVER)
        scope.cancel()


def test_a_task_spawned_while_the_scope_is_being_cancelled_does_not_outlive_it() -> None:
    ended = Ended()
    with pytest.raises(ValueError, match="task"), Scope() as scope:

        def spawns_when_cancelled() -> None:
            try:
                sleep(FOREVER)
            finally:
                scope.spawn(ended.waiting("late"))

        scope.spawn(spawns_when_cancelled)
        scope.spawn(fail_with(ValueError("task")))
    assert ended.names in ([], ["late"])


def test_an_inner_scope_interrupted_by_the_outer_one_takes_its_tasks_along() -> None:
    ended = Ended()

    def inner() -> None:
        with Scope() as scope:
            scope.spawn(ended.waiting("grandchild"))
            sleep(FOREVER)

    with pytest.raises(ValueError, match="outer"), Scope() as outer:
        outer.spawn(inner)
        sleep(0)
        outer.spawn(fail_with(ValueError("outer")))
    assert ended.names == ["grandchild"]


def test_a_scope_waiting_for_its_tasks_is_cancelled_with_them() -> None:
    """The outer error arrives while the inner block is over and only waits."""
    ended = Ended()

    def inner() -> None:
        with Scope() as scope:
            scope.spawn(ended.waiting("grandchild"))

    with pytest.raises(ValueError, match="outer"), Scope() as outer:
        outer.spawn(inner)
        sleep(0)
        sleep(0)
        outer.spawn(fail_with(ValueError("outer")))
    assert ended.names == ["grandchild"]


def test_an_interruption_by_the_outer_scope_is_not_swallowed_by_an_inner_one() -> None:
    reached = []
    with pytest.raises(ValueError, match="outer"), Scope() as outer:
        outer.spawn(fail_with(ValueError("outer")))
        with Scope():
            sleep(FOREVER)
        reached.append("after the inner block")
        sleep(0)
        reached.append("and on")
    assert reached == []


def test_a_loop_over_items_that_is_cancelled_leaves_no_worker_behind() -> None:
    ended = Ended()
    with Scope() as scope:
        scope.spawn(for_each, lambda name: ended.waiting(name)(), ["one", "two"], 2)
        sleep(0)
        sleep(0)
        scope.cancel()
    assert sorted(ended.names) == ["one", "two"]


def test_an_error_of_cleaning_up_does_not_hide_that_a_task_was_to_end() -> None:
    tries = []

    def task() -> None:
        while True:
            try:
                try:
                    tries.append(1)
                    sleep(FOREVER)
                finally:
                    raise ConnectionError("lost in the middle of a statement")
            except ConnectionError as error:
                heed_end(error)

    with Scope() as scope:
        scope.spawn(task)
        sleep(0)
        scope.cancel()
    assert tries == [1]


def test_an_error_that_hides_no_end_is_left_alone() -> None:
    inner = ValueError("before")
    try:
        try:
            raise inner
        except ValueError as error:
            raise KeyError("after") from error
    except KeyError as error:
        error.__context__ = error  # a circle, which must be survived
        heed_end(error)


# ---- workers --------------------------------------------------------------------------------------------------------


def for_each(task: Callable[[T], object], items: Iterable[T], limit: int) -> None:
    source = iter(items)

    def drain() -> None:
        for item in source:
            task(item)

    run_workers(drain, limit)


def test_each_item_is_worked_on_once() -> None:
    done: list[int] = []
    for_each(done.append, range(100), 7)
    assert done == list(range(100))


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_no_more_than_the_limit_run_at_once_and_no_fewer_where_they_wait(limit: int) -> None:
    running, most = 0, 0

    def task(_: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        sleep(0.05)
        running -= 1

    for_each(task, range(60), limit)
    assert most == limit


def test_tasks_that_never_wait_take_two_greenlets_whatever_the_limit() -> None:
    workers = set()
    for_each(lambda _: workers.add(gevent.getcurrent()), range(100), 50)
    assert len(workers) == 1


def test_the_first_error_ends_the_other_workers() -> None:
    started = []

    def task(number: int) -> None:
        started.append(number)
        if number == 1:
            raise ValueError("no")
        sleep(FOREVER)

    with pytest.raises(ValueError, match="no"):
        for_each(task, range(100), 2)
    assert started == [0, 1]


def test_no_items_need_no_worker() -> None:
    for_each(print, [], 4)
    run_workers(lambda: pytest.fail("nobody asked for it"), 0)


def test_a_worker_knows_that_it_is_one() -> None:
    known = []
    run_workers(lambda: known.append(in_worker()), 1)
    assert known == [True]
    assert not in_worker()


# ---- Permits --------------------------------------------------------------------------------------------------------


def test_permits_bound_how_many_hold_one() -> None:
    permits, held, most = Permits(2), 0, 0

    def task() -> None:
        nonlocal held, most
        with permits:
            held += 1
            most = max(most, held)
            sleep(0)
            held -= 1

    with Scope() as scope:
        for _ in range(10):
            scope.spawn(task)
    assert most == 2


def test_a_permit_is_given_back_by_who_was_cancelled() -> None:
    permits = Permits(1)

    def holder() -> None:
        with permits:
            sleep(FOREVER)

    with Scope() as scope:
        scope.spawn(holder)
        sleep(0)
        scope.cancel()
    with permits:
        pass


def test_permits_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    permits, served = Permits(1), []

    def task(number: int) -> None:
        with permits:
            sleep(0)
            served.append(number)

    with Scope() as scope:
        for number in range(5):
            scope.spawn(task, number)
    assert served == [0, 1, 2, 3, 4]


def test_a_lowered_limit_takes_no_permit_back_and_gives_none_until_enough_are_returned() -> None:
    permits, may_end = Permits(3), [Event() for _ in range(5)]

    def task(end: Event) -> None:
        with permits:
            end.wait()

    with Scope() as scope:
        for end in may_end:
            scope.spawn(task, end)
        sleep(0)
        assert (permits.held, permits.waiting) == (3, 2)
        permits.limit = 1
        assert permits.held == 3
        for end, held, waiting in zip(may_end, (2, 1, 1, 1, 0), (2, 2, 1, 0, 0), strict=True):
            end.set()
            sleep(0.001)
            assert (permits.held, permits.waiting) == (held, waiting)


def test_a_raised_limit_lets_in_who_waits() -> None:
    permits, end = Permits(1), Event()

    def task() -> None:
        with permits:
            end.wait()

    with Scope() as scope:
        for _ in range(4):
            scope.spawn(task)
        sleep(0)
        assert (permits.held, permits.waiting) == (1, 3)
        permits.limit = 3
        assert (permits.held, permits.waiting) == (3, 1)
        end.set()
    assert (permits.held, permits.waiting) == (0, 0)


def test_one_who_is_cancelled_while_it_waits_leaves_the_queue() -> None:
    permits = Permits(1)

    def task() -> None:
        with permits:
            pass

    with permits:
        with Scope() as scope:
            scope.spawn(task)
            sleep(0)
            assert permits.waiting == 1
            scope.cancel()
        assert (permits.held, permits.waiting) == (1, 0)
    assert permits.held == 0


def test_one_who_is_cancelled_when_its_turn_has_just_come_gives_the_permit_on() -> None:
    permits, served = Permits(1), []

    def task(name: str) -> None:
        with permits:
            served.append(name)

    with Scope() as scope:
        with permits:
            first = scope.spawn(task, "cancelled")
            scope.spawn(task, "next")
            sleep(0)
            assert permits.waiting == 2
            first.kill(block=False)
        assert (permits.held, permits.waiting) == (1, 1)  # handed over to the one that will end instead
    assert served == ["next"]
    assert permits.held == 0


@given(st.lists(st.sampled_from(["ask", "return", "cancel", "raise", "lower"]), max_size=60))
def test_permits_out_never_exceed_the_limit_under_which_they_were_given(steps: list[str]) -> None:
    permits = Permits(2)
    tasks: list[tuple[gevent.Greenlet, Event]] = []

    def task(end: Event) -> None:
        with permits:
            end.wait()

    with Scope() as scope:
        for step in steps:
            held = permits.held
            if step == "ask":
                end = Event()
                tasks.append((scope.spawn(task, end), end))
            elif step == "return" and tasks:
                tasks.pop(0)[1].set()
            elif step == "cancel" and tasks:
                tasks.pop()[0].kill(block=False)
            elif step in ("raise", "lower"):
                permits.limit = max(1, permits.limit + (1 if step == "raise" else -1))
            sleep(0)
            sleep(0)
            assert permits.held <= max(held, permits.limit)
            assert permits.waiting == 0 or permits.held >= permits.limit
        for _, end in tasks:
            end.set()
    assert (permits.held, permits.waiting) == (0, 0)


# ---- NativeThread and Bridge ----------------------------------------------------------------------------------------


@pytest.fixture
def native() -> Iterator[NativeThread]:
    thread = NativeThread()
    yield thread
    thread.close()


def test_a_native_call_runs_in_another_thread_and_brings_its_result(native: NativeThread) -> None:
    assert native.call(threading.get_ident) != threading.get_ident()
    assert native.call(divmod, 7, 3) == (2, 1)


def test_native_calls_run_one_after_the_other_in_one_thread(native: NativeThread) -> None:
    running, most, threads = 0, 0, set()

    def task() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        native_sleep(0.002)
        threads.add(threading.get_ident())
        running -= 1

    with Scope() as scope:
        for _ in range(5):
            scope.spawn(native.call, task)
    assert (most, len(threads)) == (1, 1)


def test_an_error_of_a_native_call_is_raised_where_it_was_asked_and_nothing_is_printed(
    native: NativeThread, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ZeroDivisionError):
        native.call(divmod, 1, 0)
    assert capfd.readouterr() == ("", "")


def test_greenlets_go_on_while_a_native_call_blocks(native: NativeThread) -> None:
    gate, turns = threading.Event(), []

    def others() -> None:
        for turn in range(3):
            sleep(0)
            turns.append(turn)
        gate.set()

    with Scope() as scope:
        scope.spawn(others)
        assert native.call(gate.wait, FOREVER)
    assert turns == [0, 1, 2]


def test_a_closed_native_thread_is_gone() -> None:
    thread = NativeThread()
    ident = thread.call(threading.get_ident)
    thread.close()
    assert ident not in {each.ident for each in threading.enumerate()}


def ask_while_serving(
    native: NativeThread, bridge: Bridge[int, int], timeout: float, *questions: int
) -> list[int | None]:
    with Scope() as scope:
        scope.spawn(bridge.serve)
        answers = [native.call(bridge.ask, question, timeout) for question in questions]
        scope.cancel()
    bridge.close()
    return answers


def test_a_native_thread_gets_its_answers_from_a_greenlet(native: NativeThread) -> None:
    def answer(question: int) -> int:
        sleep(0)  # it may wait, as greenlets do
        return question + 1

    assert ask_while_serving(native, Bridge(answer), FOREVER, 1, 2, 3) == [2, 3, 4]


def test_an_answer_that_is_not_given_in_time_is_none(native: NativeThread) -> None:
    gate = Event()
    bridge: Bridge[int, int] = Bridge(lambda question: gate.wait() and question)
    assert ask_while_serving(native, bridge, 0.02, 1) == [None]


def test_an_answer_that_fails_ends_the_scope_and_frees_the_asker(native: NativeThread) -> None:
    def answer(question: int) -> int:
        raise LookupError(f"no answer to {question}")

    bridge = Bridge(answer)
    answers = []
    with pytest.raises(LookupError, match="no answer to 5"), Scope() as scope:
        scope.spawn(bridge.serve)
        answers.append(native.call(bridge.ask, 5, FOREVER))
    assert answers in ([], [None])
    bridge.close()


def test_the_answer_runs_in_the_greenlets_thread(native: NativeThread) -> None:
    bridge: Bridge[int, int] = Bridge(lambda _: threading.get_ident())
    assert ask_while_serving(native, bridge, FOREVER, 1) == [threading.get_ident()]


BLOCKED = """
from consumers.concurrency import Scope, Watchdog, sleep
with Scope() as scope:
    scope.spawn(Watchdog(1).beat)
    sleep(0.1)
    while True:
        pass
"""

HEALTHY = """
from consumers.concurrency import Scope, Watchdog, sleep
with Scope() as scope:
    scope.spawn(Watchdog(1).beat)
    sleep(3)
    scope.cancel()
"""


def test_a_process_whose_greenlets_are_kept_from_running_ends_and_says_where() -> None:
    ended = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "no greenlet has run for" in ended.stderr
    assert 'File "<string>", line 7 in <module>' in ended.stderr or 'File "<string>", line 6' in ended.stderr


def test_a_process_whose_greenlets_run_is_left_alone() -> None:
    ended = subprocess.run([sys.executable, "-c", HEALTHY], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
