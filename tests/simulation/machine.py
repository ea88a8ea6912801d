"""What hypothesis may do to a group, in any order, and when it looks whether all still holds."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from consumers.core.records import TopicPartition
from tests.simulation.books import KINDS
from tests.simulation.member import A_WHILE, Member
from tests.simulation.world import PARTITIONS, World

MOST_MEMBERS = 3

sources = st.integers(0, PARTITIONS - 1)
which = st.integers(0, MOST_MEMBERS - 1)
points = st.sampled_from(Member.POINTS)
in_a_chunk = st.sampled_from(["prepare", "process", "begin", "write", "before commit", "after commit"])
leads = st.sampled_from([0.003, 0.005, 0.007, 0.03])
kinds = st.lists(st.sampled_from(KINDS), min_size=1, max_size=8)
BETWEEN_STEPS = 0.0013
"""Seconds: somewhat more than a statement takes, so that each step comes upon work half done."""


class GroupMachine(RuleBasedStateMachine):
    """One schedule: the members of a group at work, and what befalls them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.has_failed = False
        self.back_in: dict[str, int] = {}
        """Servers that are down, and in how many steps they come back."""

    def teardown(self) -> None:
        try:
            if not self.has_failed:
                self.world.come_to_rest()
        finally:
            self.world.close()

    @initialize(members=st.integers(2, MOST_MEMBERS), records=st.integers(0, 30))
    def begin(self, members: int, records: int) -> None:
        for _ in range(members):
            self.world.start_member()
        self.world.group.deal_out(self.world.alive)
        for number in range(records):
            self.world.produce(self.world.sources[number % PARTITIONS], "good")

    @invariant()
    def all_holds(self) -> None:
        self.has_failed = True
        self.world.pass_time(BETWEEN_STEPS)
        self.world.check()
        self.servers_come_back()
        self.has_failed = False

    # ---- the everyday -----------------------------------------------------------------------------------------------

    @rule(source=sources, kinds=kinds)
    def produce(self, source: int, kinds: list[str]) -> None:
        for kind in kinds:
            self.world.produce(self.world.sources[source], kind)

    @rule(seconds=st.sampled_from([0.003, 0.01, 0.05]))
    def a_moment_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(seconds=st.sampled_from([0.3, 1.0, 3.0, 7.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(source=sources, count=st.integers(1, 3))
    def use_up_offsets(self, source: int, count: int) -> None:
        self.world.log.skip(*self.world.sources[source], count)

    @rule(source=sources, index=st.integers(0, 20))
    def compact(self, source: int, index: int) -> None:
        self.world.compact(self.world.sources[source], index)

    @rule()
    @precondition(lambda self: not self.world.parent_is_there)
    def the_parent_appears(self) -> None:
        self.world.parent_is_there = True

    # ---- the group --------------------------------------------------------------------------------------------------

    @rule()
    @precondition(lambda self: len(self.world.alive) < MOST_MEMBERS)
    def start(self) -> None:
        self.world.start_member()
        self.world.group.deal_out(self.world.alive)

    @rule(member=which)
    @precondition(lambda self: self.world.at_work)
    def stop(self, member: int) -> None:
        self.one_at_work(member).stop()

    @rule(source=sources, to=which)
    @precondition(lambda self: self.world.at_work)
    def hand_over(self, source: int, to: int) -> None:
        self.world.group.hand_over(self.world.sources[source], self.another(source, to))

    @rule(source=sources, to=which)
    @precondition(lambda self: self.world.at_work)
    def take_over(self, source: int, to: int) -> None:
        self.world.group.take_over(self.world.sources[source], self.another(source, to))

    @rule()
    @precondition(lambda self: len(self.world.at_work) < len(self.world.members) and self.world.at_work)
    def sessions_time_out(self) -> None:
        for member in self.world.members:
            if not member.is_at_work:
                self.world.group.left(member)
        self.world.group.deal_out(self.world.at_work)

    @rule(source=sources, to=st.integers(0, 20))
    def seek_back(self, source: int, to: int) -> None:
        self.world.seek(self.world.sources[source], to)

    @rule()
    def tell_of_moves(self) -> None:
        self.world.tell_of_moves()

    @rule(source=sources)
    def order_pause(self, source: int) -> None:
        self.world.order_pause(self.world.sources[source])

    @rule(source=sources)
    def a_pause_stands(self, source: int) -> None:
        """Long enough that whoever reads against it is found out."""
        self.order_pause(source)
        for _ in range(3):
            self.world.pass_time(A_WHILE)
            self.world.check()

    @rule()
    @precondition(lambda self: self.world.database.paused)
    def take_orders_back(self) -> None:
        self.world.take_orders_back()

    @rule(source=sources, count=st.integers(1, 5))
    def deliver_again(self, source: int, count: int) -> None:
        holder = self.world.group.holder[self.world.sources[source]]
        if holder is not None:
            holder.source.redeliver(self.world.sources[source], count)

    # ---- what befalls members ---------------------------------------------------------------------------------------

    @rule(member=which)
    @precondition(lambda self: self.world.at_work)
    def freeze(self, member: int) -> None:
        self.one_at_work(member).freeze()

    @rule(member=which, point=points)
    @precondition(lambda self: self.world.at_work)
    def freeze_at(self, member: int, point: str) -> None:
        victim = self.one_at_work(member)
        victim.stops[point] = victim.freeze

    @rule()
    @precondition(lambda self: any(member.is_frozen for member in self.world.members))
    def wake(self) -> None:
        for member in self.world.members:
            if member.is_frozen:
                member.wake()

    @rule(member=which)
    @precondition(lambda self: len(self.world.alive) > 1)
    def kill(self, member: int) -> None:
        self.world.alive[member % len(self.world.alive)].kill()

    @rule(member=which, point=points)
    @precondition(lambda self: len(self.world.at_work) > 1)
    def kill_at(self, member: int, point: str) -> None:
        victim = self.one_at_work(member)
        victim.stops[point] = victim.kill

    @rule(member=which, pace=st.sampled_from([0.0, 0.001, 0.02, 0.4]))
    @precondition(lambda self: self.world.at_work)
    def slow_down(self, member: int, pace: float) -> None:
        self.one_at_work(member).pace = pace

    @rule(source=sources, seconds=st.sampled_from([0.0, 0.01, 0.5]))
    def slow_down_a_partition(self, source: int, seconds: float) -> None:
        self.world.drag[self.world.sources[source]] = seconds

    @rule(seconds=st.sampled_from([0.0, 0.01, 1.0, 40.0]))
    def slow_down_the_handler(self, seconds: float) -> None:
        self.world.slowness = seconds

    @rule(source=sources, to=which, kinds=kinds, point=in_a_chunk, lead=leads)
    @precondition(lambda self: len(self.world.at_work) > 1)
    def outlive_a_session(self, source: int, to: int, kinds: list[str], point: str, lead: float) -> None:
        """A zombie: frozen with a chunk in its hands, it wakes when another member has gone on with all it held."""
        holder, heir = self.world.group.holder[self.world.sources[source]], self.another(source, to)
        self.freeze_holder(source, kinds, point)
        self.inherit(self.world.group.held_by(holder) if holder else [], heir, lead)

    @rule(source=sources, to=which, kinds=kinds, point=in_a_chunk, lead=leads)
    @precondition(lambda self: len(self.world.at_work) > 1)
    def outlive_the_loss_of_one(self, source: int, to: int, kinds: list[str], point: str, lead: float) -> None:
        """The same, but for one partition: the rest of its chunk is its own still."""
        heir = self.another(source, to)
        self.freeze_holder(source, kinds, point)
        self.inherit([self.world.sources[source]], heir, lead)

    def freeze_holder(self, source: int, kinds: list[str], point: str) -> None:
        holder = self.world.group.holder[self.world.sources[source]]
        if holder is not None and holder.is_at_work:
            holder.stops[point] = holder.freeze
        self.produce(source, kinds)
        self.produce((source + 1) % PARTITIONS, kinds)
        self.world.pass_time(0.03)

    def inherit(self, lost: list[TopicPartition], heir: Member, lead: float) -> None:
        """Another member takes these over and has so many seconds before those who were frozen wake."""
        for source in lost:
            self.world.group.take_over(source, heir)
            self.world.produce(source, "good")
        self.world.pass_time(lead)
        self.wake()

    # ---- what befalls servers ---------------------------------------------------------------------------------------

    @rule(steps=st.integers(0, 4))
    def database_goes_down(self, steps: int) -> None:
        self.world.database.go_down()
        self.back_in["database"] = steps

    @rule(steps=st.integers(0, 4))
    def broker_goes_down(self, steps: int) -> None:
        self.world.group.broker_is_down = True
        self.back_in["broker"] = steps

    def servers_come_back(self) -> None:
        self.back_in = {server: steps - 1 for server, steps in self.back_in.items() if steps > 0}
        self.world.database.is_down &= "database" in self.back_in
        self.world.group.broker_is_down &= "broker" in self.back_in

    @rule(member=which)
    @precondition(lambda self: self.world.at_work)
    def lose_the_answer_to_a_commit(self, member: int) -> None:
        self.one_at_work(member).loses_answer = True

    def one_at_work(self, number: int) -> Member:
        members = self.world.at_work
        return members[number % len(members)]

    def another(self, source: int, number: int) -> Member:
        """A member at work that does not hold the partition, if there is one."""
        holder = self.world.group.holder[self.world.sources[source]]
        members = [member for member in self.world.at_work if member is not holder] or self.world.at_work
        return members[number % len(members)]
