"""Orders of operators, as one process hears them, obeys them and answers.

Every round reads all orders in force that are meant for the process. Standing ones are compared with what the process
does, so that it makes no difference when it heard of them, in which state it was, or whether it was started later.
Nothing here waits: the engine is told, and does it at its next turn.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from typing import NamedTuple

from django.db.models import Q
from django.db.models.functions import Now

from consumers.concurrency import stacks
from consumers.core.limiter import Move
from consumers.core.records import TopicPartition
from consumers.engine.partitions import Partition, names_of
from consumers.engine.process import ConsumerProcess
from consumers.engine.runner import Runner
from consumers.models import Control, ControlReply
from consumers.orders import in_force, pauses_of
from consumers.reporting.snapshot import process_name, storable

logger = logging.getLogger(__name__)

Kind, State = Control.Kind, ControlReply.State

MOST_TEXT = 200_000
"""Characters of a dump that are kept."""


class Reply(NamedTuple):
    """What has become of an order."""

    state: str
    text: str


class Desk:
    """Takes the orders for one process."""

    def __init__(self, process: ConsumerProcess, worker: uuid.UUID) -> None:
        self._process = process
        self._worker = worker
        self._name = process_name()
        self._using = process.settings.database
        self._names = [runner.consumer.name for runner in process.runners]
        self._groups = [runner.group for runner in process.runners]
        self._replies: dict[int, Reply] = {}
        self._unsent: dict[int, Reply] = {}
        self._standing: set[int] = set()
        """Orders that stood at the last round."""
        self._began: dict[int, dict[TopicPartition, int]] = {}
        """Seeks that are under way: the epochs under which their partitions were held."""
        self._has_read = False
        self._carry_out: dict[str, Callable[[Control], Reply | None]] = {
            Kind.DRAIN: self._drain,
            Kind.DUMP: self._dump,
            Kind.SEEK: self._seek,
        }

    # ---- in the database --------------------------------------------------------------------------------------------

    def read(self) -> list[Control]:
        """The orders in force for this process, the oldest first."""
        for_us = Q(worker__isnull=True) | Q(worker=self._worker)
        orders = in_force(self._using).filter(for_us, group__in=["", *self._groups], consumer__in=["", *self._names])
        return list(orders.order_by("pk"))

    def unsent(self) -> dict[int, Reply]:
        """Replies that the database does not know yet."""
        return dict(self._unsent)

    def send(self, replies: dict[int, Reply]) -> None:
        """Write replies; an order that is carried out once, by this worker alone, ends with its last one."""
        rows = [
            ControlReply(
                control_id=control, worker=self._worker, worker_name=self._name, state=state, text=text, at=Now()
            )
            for control, (state, text) in replies.items()
        ]
        ControlReply.objects.using(self._using).bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["control", "worker"],
            update_fields=["worker_name", "state", "text", "at"],
        )
        over = [control for control, reply in replies.items() if reply.state in (State.DONE, State.FAILED)]
        Control.objects.using(self._using).filter(pk__in=over, worker=self._worker, ended_at__isnull=True).update(
            ended_at=Now(), ended_by=self._name[:150]
        )
        for control, reply in replies.items():
            if self._unsent.get(control) == reply:
                del self._unsent[control]

    # ---- in the engine ----------------------------------------------------------------------------------------------

    def obey(self, orders: Sequence[Control]) -> None:
        """Do what is ordered, and undo what is ordered no more."""
        self._obey_pauses([order for order in orders if order.kind == Kind.PAUSE])
        self._obey_writers(_latest(orders, Kind.WRITERS))
        for runner in self._process.runners:
            meant = [order for order in orders if _is_for(order, runner)]
            self._obey_size(runner, _latest(meant, Kind.CHUNK_SIZE))
            self._obey_workers(runner, _latest(meant, Kind.CONCURRENCY))
        self._once([order for order in orders if not order.is_standing])
        standing = {order.pk for order in orders if order.is_standing}
        for control in self._standing - standing:
            self._say(control, Reply(State.LIFTED, "taken back, or run out"))
        self._standing = standing

    def ended(self, why: str) -> None:
        """The process is over: a drain that was ordered has ended."""
        for control, reply in list(self._replies.items()):
            if reply.state == State.ACCEPTED:
                self._say(control, Reply(State.FAILED, why) if why else Reply(State.DONE, "drained and stopped"))

    def _say(self, control: int, reply: Reply) -> None:
        reply = Reply(reply.state, storable(reply.text)[:MOST_TEXT])
        if self._replies.get(control) != reply:
            self._replies[control] = self._unsent[control] = reply

    # ---- standing orders --------------------------------------------------------------------------------------------

    def _obey_pauses(self, orders: Sequence[Control]) -> None:
        for runner in self._process.runners:
            runner.orders.pause(pauses_of([order for order in orders if _is_for(order, runner)]))
        for order in orders:
            self._say(order.pk, self._paused(order))

    def _paused(self, order: Control) -> Reply:
        covers = pauses_of([order]).covers
        runners = [runner for runner in self._process.runners if _is_for(order, runner)]
        held = [each for runner in runners for each in runner.partitions if covers(each.source)]
        if not held:
            return Reply(State.DONE, "holds none of it at present")
        if not all(each.operator_paused and each.paused for each in held):
            return Reply(State.ACCEPTED, "takes effect with the next poll")
        return Reply(State.DONE, f"paused {_names(held)}")

    def _obey_writers(self, order: Control | None) -> None:
        health = self._process.health
        if order is None:
            if health.is_ordered:
                health.fix(None)
            return
        asked = _number(order)
        limit = max(1, min(asked, health.ceiling))
        if not (health.is_ordered and health.gate.limit == limit):
            before = health.gate.limit
            health.fix(limit)
            health.tell("writers at once", before, Move(limit, f"ordered by {order.by}"))
        why = f", the most that there are connections for ({asked} were asked for)" if limit < asked else ""
        self._say(order.pk, Reply(State.DONE, f"held at {limit}{why}"))

    def _obey_size(self, runner: Runner, order: Control | None) -> None:
        pace = runner.statistics.pace
        if pace is None:
            return
        size = _number(order) if order else None
        if size != pace.ordered:
            pace.order(size)
            runner.statistics.events.add("order", f"{runner.consumer.name}: records in a chunk {_held_at(size)}")
        if order:
            self._say(order.pk, Reply(State.DONE, f"held at {size} records, from the next chunk on"))

    def _obey_workers(self, runner: Runner, order: Control | None) -> None:
        number = _number(order) if order else 0
        if number != runner.orders.workers:
            runner.orders.use_workers(number)
            runner.statistics.events.add("order", f"{runner.consumer.name}: process() workers {_held_at(number)}")
        if order:
            self._say(order.pk, Reply(State.DONE, f"held at {number}, from the next chunk on"))

    # ---- orders that are carried out once ---------------------------------------------------------------------------

    def _once(self, orders: Sequence[Control]) -> None:
        for order in orders:
            if not self._has_read and order.worker is None:
                self._replies[order.pk] = Reply(State.DONE, "")  # from before this process began
            known = self._replies.get(order.pk)
            if known is None or known.state == State.ACCEPTED:
                reply = self._carry_out[order.kind](order)
                if reply is not None:
                    self._say(order.pk, reply)
        self._has_read = True

    def _drain(self, order: Control) -> Reply:
        if self._process.drain():
            logger.info("draining, by order of %s", order.by)
        return Reply(State.ACCEPTED, "draining: chunks in flight settle, then the process stops")

    def _dump(self, order: Control) -> Reply:
        return Reply(State.DONE, stacks())

    def _seek(self, order: Control) -> Reply | None:
        """The ledger was moved: whoever holds its partitions claims them again, to go on from there."""
        wanted = {TopicPartition(order.topic, number) for number in order.value.get("partitions", [])}
        runners = [runner for runner in self._process.runners if _is_for(order, runner)]
        held = [each for runner in runners for each in runner.partitions if each.source in wanted]
        began = self._began.get(order.pk)
        if began is None:
            self._began[order.pk] = {each.source: each.epoch for each in held}
            for runner in runners:
                runner.orders.claim_again(wanted)
            return Reply(State.ACCEPTED, f"claims {_names(held)} again") if held else None
        left = [each for each in held if began.get(each.source, -1) >= each.epoch]
        return None if left else Reply(State.DONE, f"went on with {_names(held)}" if held else "gave them away")


def _is_for(order: Control, runner: Runner) -> bool:
    return order.group in ("", runner.group) and order.consumer in ("", runner.consumer.name)


def _latest(orders: Sequence[Control], kind: str) -> Control | None:
    return next((order for order in reversed(orders) if order.kind == kind), None)


def _number(order: Control) -> int:
    return max(1, int(order.value["value"]))


def _held_at(number: int | None) -> str:
    return f"held at {number} by order" if number else "follow the policy again"


def _names(partitions: Sequence[Partition]) -> str:
    return names_of(each.source for each in partitions)
