"""One process of the group: the real `Runner`, which can be frozen, killed, slowed down and kept in the dark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from consumers.concurrency import Event, Permits, monotonic, sleep
from consumers.core.chunks import Chunk
from consumers.core.errors import reject
from consumers.core.lifecycle import State
from consumers.core.policies import BatchPolicy
from consumers.core.records import TopicPartition
from consumers.engine.partitions import Hold
from consumers.engine.runner import Runner
from consumers.settings import EngineSettings
from tests.orders import Order, OrderConsumer, OrderEvent
from tests.simulation.clock import own_greenlets
from tests.simulation.group import GroupSource
from tests.simulation.store import MemoryStorage

if TYPE_CHECKING:
    from tests.simulation.world import World

SETTINGS = EngineSettings(
    lanes=2, commit_interval=0.5, revoke_timeout=2.0, drain_timeout=10.0, stuck_timeout=30.0, flood_guard=False
)
PERMITS = 3
A_MOMENT = 0.0001
A_WHILE = 5.0


class SimulatedConsumer(OrderConsumer):
    """Small chunks, so that a few records are many. An order's note says what becomes of it."""

    batch = BatchPolicy(max_records=6, chunk_records=3, max_wait=0.5)
    max_concurrency = 2

    def __init__(self, world: World) -> None:
        self._world = world

    def prefetch(self, events: Sequence[OrderEvent]) -> bool:
        return self._world.parent_is_there

    def process(self, event: OrderEvent, context: Any) -> Order | Iterable[Order] | None:
        if event.note == "skip":
            return None
        if event.note == "orphan" and not context:
            reject("unknown_parent")
        if event.note == "slow":
            sleep(self._world.slowness)
        return Order(number=event.number)


class Member:
    """A member and what ails it. Each name in `POINTS` is a place where it can stop."""

    POINTS: ClassVar[Sequence[str]] = (
        "poll",
        "look",
        "claim",
        "prepare",
        "process",
        "begin",
        "write",
        "before commit",
        "after commit",
        "broker commit",
    )

    def __init__(self, world: World, number: int) -> None:
        self.settings = SETTINGS
        self.pace = 0.001
        """Seconds that a statement takes."""
        self.stops: dict[str, Callable[[], None]] = {}
        """What happens when it comes to a point."""
        self.loses_answer = False
        self.is_dead = False
        self.is_frozen = False
        self.has_ended = False
        self.error: BaseException | None = None
        self._against: dict[TopicPartition, float] = {}
        """What is read against orders, and since when."""
        self._world = world
        self._number = number
        consumer = SimulatedConsumer(world)
        self.source = GroupSource(world.group, self, consumer.topics, consumer.name)
        self.storage = MemoryStorage(world.database, self, consumer, SETTINGS)
        self.runner = Runner(consumer, self.source, SETTINGS, Permits(PERMITS), storage=self.storage)
        self._greenlet = world.scope.spawn(self._live)

    def _live(self) -> None:
        own_greenlets(self)
        try:
            self.runner.run()
        except Exception as error:  # noqa: BLE001  (the world judges)
            self.error = error
        finally:
            self.has_ended = True
            self.note("ended", repr(self.error) if self.error else "")

    @property
    def is_alive(self) -> bool:
        return not (self.is_dead or self.has_ended)

    @property
    def is_at_work(self) -> bool:
        return self.is_alive and not self.is_frozen

    # ---- what may befall it -----------------------------------------------------------------------------------------

    def freeze(self) -> None:
        self.note("frozen")
        self.is_frozen = True
        self._world.clock.freeze(self)

    def wake(self) -> None:
        self.note("woken")
        self.is_frozen = False
        self._world.clock.thaw(self)

    def kill(self) -> None:
        """kill -9: its connections break at once, and the group hears of it when the session times out."""
        self.note("killed")
        self.is_dead = True
        self._world.database.drop(self)
        self._greenlet.kill(block=False)

    def stop(self) -> None:
        self.note("told to stop")
        self.runner.stop()
        self.source.arrived.set()

    # ---- Client of the database -------------------------------------------------------------------------------------

    def at(self, point: str, chunk: Chunk | None = None) -> None:
        self._rest_in_peace()
        if point in self.stops:
            self.stops.pop(point)()
            self._rest_in_peace()
        sleep(A_MOMENT if point == "poll" else self._world.duration(self, chunk))
        self._rest_in_peace()
        if point != "poll":
            self.note(point, chunk or "")

    def hears_of_commit(self) -> bool:
        hears, self.loses_answer = not self.loses_answer, False
        return hears

    def _rest_in_peace(self) -> None:
        """A dead process does nothing more, until its greenlets have ended."""
        if self.is_dead:
            Event().wait()

    def has_in_flight(self, source: TopicPartition) -> bool:
        return any(lane._is_busy(source) for lane in self.runner._lanes)

    def check(self) -> None:
        """What is paused by order brings nothing, whatever room there is: not for longer than it takes to notice."""
        against = {p.source for p in self.runner.partitions if p.operator_paused and p.hold is Hold.ACTIVE}
        against = {source for source in against if self.source.brings(source)}
        if not self.is_at_work or self._world.group.broker_is_down or self.runner.state is not State.RUNNING:
            against = set()
        now = monotonic()
        self._against = {source: self._against.get(source, now) for source in against}
        for source, since in self._against.items():
            assert now - since < A_WHILE, f"{self} reads {source} against orders"

    def note(self, what: str, about: object = "") -> None:
        self._world.note(self, what, about)

    def __str__(self) -> str:
        return f"member {self._number}"
