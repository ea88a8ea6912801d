"""A round: faults on a group at work, then quiet, then the oracle."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import accumulate, islice, pairwise
from pathlib import Path

from confluent_kafka.admin import AdminClient

from consumers.kafka.producer import RecordProducer
from consumers.kafka.quiet import QuietLogger
from tests.chaos import oracle
from tests.chaos.exits import Exit, exits
from tests.chaos.fault import Fault
from tests.chaos.faults import AIMED
from tests.chaos.journal import CLICKS, PAYMENTS, Journal
from tests.chaos.members import Members
from tests.chaos.nemesis import Happened, Nemesis, schedule
from tests.chaos.process_faults import SLOTS
from tests.chaos.recovery import Settlements, signs_of_trouble
from tests.chaos.servers import SESSION_SECONDS, Servers
from tests.chaos.timeline import timeline
from tests.e2e.conftest import new_database
from tests.e2e.harness import Done, Site

A_ROUND, PACE, RATE = 50, 1.3, 400
"""What a round is unless it is told otherwise: faults, seconds from one to the next, records a second."""
ONE_AIMED_IN = 3
PARTITIONS = 6
FINISHER = 8
FINISH_SECONDS = 150
RECOVERY_SECONDS = 20
LEAST_SECONDS = 8
"""So long records are sent, even if there are no faults."""


@dataclass(frozen=True)
class Plan:
    """All that a round follows from."""

    seed: int
    number: int
    faults: int
    pace: float
    rate: int
    only: frozenset[int] | None = None
    """Numbers of the faults that happen; None means all."""
    aimed: bool = False
    """Only faults of the kinds AIMED, rather than one in some and the others drawn by their weights."""
    plant: str = ""
    """A bug to build into the consumers; see `plants`."""

    @property
    def name(self) -> str:
        return f"{self.seed}-{self.number}"

    def setting(self) -> tuple[str, bool, int]:
        """(group protocol, whether members are static, records in a chunk).

        Static members only with the classic protocol: with the newer one the broker refuses the successor of a killed
        static member until the session has timed out, and the client gives up at that.
        """
        rng = random.Random(f"setting {self.name}")
        protocol = ("classic", "consumer")[self.number % 2]
        return protocol, protocol == "classic" and rng.random() < 0.5, rng.choice((2, 5, 20))

    def schedule(self) -> list[Fault]:
        """Where only some faults happen, they come no further apart than any two of all might."""
        faults = schedule(f"faults {self.name}", self.faults, self.pace, self._dealt())
        if self.only is None:
            return faults
        chosen = [fault for fault in faults if fault.number in self.only]
        gaps = [after.at - before.at for before, after in pairwise([faults[0], *chosen])]
        moments = accumulate((min(gap, 4 * self.pace) for gap in gaps), initial=faults[0].at)
        return [replace(fault, at=moment) for fault, moment in zip(chosen, islice(moments, 1, None), strict=True)]

    def _dealt(self) -> dict[int, str]:
        """By fault, the kinds that are not left to chance. The deck is shuffled anew whenever all of it has been dealt,
        round after round: so each kind comes once before any comes again."""
        numbers = range(self.faults) if self.aimed else range(0, self.faults, ONE_AIMED_IN)
        rng, kinds = random.Random(f"deck {self.seed}"), list[str]()
        while len(kinds) < (self.number + 1) * len(numbers):
            kinds += rng.sample(AIMED, len(AIMED))
        return dict(zip(numbers, kinds[self.number * len(numbers) :], strict=False))


@dataclass
class World:
    """What faults act upon."""

    servers: Servers
    site: Site
    members: Members
    journal: Journal
    _campaigns: threading.Lock = field(default_factory=threading.Lock)

    def add_campaign(self) -> None:
        with self._campaigns:
            oracle.new_campaign(self.site)

    def groups(self) -> dict[str, str]:
        """What the broker says of both groups, for whoever wonders why nothing goes on."""
        admin = AdminClient({"bootstrap.servers": self.servers.direct.bootstrap_servers}, logger=QuietLogger())
        described = admin.describe_consumer_groups(["clicks", "payments"])
        found = {name: future.result(30) for name, future in described.items()}
        return {name: f"{each.state.name}: {[m.member_id for m in each.members]}" for name, each in found.items()}


@dataclass
class Result:
    """What a round came to. `wrong` is empty if it passed."""

    plan: Plan
    wrong: list[str]
    story: list[Happened]
    recoveries: list[float | None]
    exits: list[Exit]
    records: Counter[str]
    signs: Counter[str]
    """What the processes' logs tell of the trouble they had."""
    seconds: float
    timeline: list[str] = field(default_factory=list)
    """Of a round that failed: what happened when, and what the processes said of it."""

    @property
    def faults(self) -> int:
        """Faults that really came about."""
        return sum(not each.missed and not each.error for each in self.story)


def run_round(servers: Servers, plan: Plan, folder: Path) -> Result:
    """Run a round; its processes' logs go to `folder`, and stay there if it fails."""
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    with made_site(servers, folder, f"chaos-{plan.name}.") as site, open_world(servers, site, plan) as world:
        nemesis = Nemesis(world, plan.schedule())
        nemesis.run()
        time.sleep(max(0.0, began + LEAST_SECONDS - time.monotonic()))
        _see_recover(world, nemesis.story)
        wrong = [f"fault {each.fault} failed: {each.error}" for each in nemesis.story if each.error]
        world.journal.end()
        wrong += [f"journal: {error}" for error in world.journal.errors[:3]]
        wrong += [f"{each.log.stem} did not drain within 90 s" for each in world.members.end(90)]
        wrong += _finish(world)
        reconciled = site.run("reconcile", "--json")
        wrong += oracle.judge(site, world.journal.entries, reconciled)
        ended = exits(world.members.all)
        wrong += [f"{each.name}: {each.verdict}: {each.last}" for each in ended if each.verdict]
        settlements = Settlements(world.members.all)
        signs = signs_of_trouble(world.members.all)
        wrong = [sentence.replace(site.prefix, "") for sentence in wrong]
        told = timeline(nemesis.story, world.members.all, wrong, site.prefix) if wrong else []
    if wrong:
        shutil.copy(servers.kafka.log, folder)
    return Result(
        plan,
        wrong,
        nemesis.story,
        [settlements.recovery(each) for each in nemesis.story],
        ended,
        world.journal.counts(),
        signs,
        time.monotonic() - began,
        told,
    )


@contextmanager
def made_site(servers: Servers, folder: Path, prefix: str) -> Iterator[Site]:
    """A database of its own and topics under a prefix, both gone afterwards."""
    with new_database(servers.direct, servers.template) as database:
        site = Site(servers.direct, database, folder, prefix)
        with RecordProducer(servers.direct.bootstrap_servers) as producer:
            for topic in (CLICKS, PAYMENTS):
                producer.ensure_topic(prefix + topic, PARTITIONS)
        try:
            yield site
        finally:
            site.close()
            site.forget_topics()


@contextmanager
def open_world(servers: Servers, site: Site, plan: Plan) -> Iterator[World]:
    """Members at work and a journal that feeds them."""
    protocol, static, chunk_size = plan.setting()
    properties = {"reconnect.backoff.max.ms": 1000, "socket.connection.setup.timeout.ms": 3000}
    if protocol == "classic":
        properties |= {"session.timeout.ms": SESSION_SECONDS * 1000, "heartbeat.interval.ms": 500}
        properties |= {"max.poll.interval.ms": 40_000}  # what a coordinator that crashed may wait for ghosts
    environment = {
        "DATABASE_URL": servers.database_url(site.database),
        "KAFKA_BOOTSTRAP_SERVERS": servers.bootstrap_servers,
        "CONSUMERS_TOPIC_PREFIX": site.prefix,
        "KAFKA_GROUP_PROTOCOL": protocol,
        "KAFKA_PROPERTIES": json.dumps(properties),
    }
    if plan.plant:
        environment["CHAOS_PLANT"] = plan.plant
    members = Members(site.folder, environment, static=static, chunk_size=chunk_size)
    journal = Journal(f"journal {plan.name}", site.prefix, servers.direct.bootstrap_servers, plan.rate)
    try:
        journal.start()
        for slot in range(SLOTS):
            members.want(slot)
        yield World(servers, site, members, journal)
    finally:
        journal.end()
        members.end(0)


def _see_recover(world: World, story: list[Happened]) -> None:
    """Wait, within bounds, until a chunk was settled after each fault."""
    deadline = time.monotonic() + RECOVERY_SECONDS
    while time.monotonic() < deadline:
        settlements = Settlements(world.members.all)
        if all(settlements.recovery(each) is not None for each in story if not each.missed):
            return
        time.sleep(0.5)


def _finish(world: World) -> list[str]:
    """With all faults healed, one member reads to the end, and what failed for want of a campaign is run again."""
    wrong = []
    member = world.members.start(FINISHER, "consume", "clicks", "payments", "--until-end", "--json")
    member.asked = "itself"
    try:
        if code := member.process.wait(FINISH_SECONDS):
            wrong.append(f"the run to the end ended with {code}")
    except subprocess.TimeoutExpired:
        wrong.append(f"the run to the end took longer than {FINISH_SECONDS} s; groups: {world.groups()}")
        member.ask(signal.SIGKILL, "SIGKILL")
        member.process.wait()
    again: Done = world.site.run("reprocess_failures", "--reason", "unknown_campaign", "--json")
    if again.code:
        wrong.append(f"reprocess_failures ended with {again.code}: {again.err[-300:]}")
    return wrong


def joined(numbers: Iterable[int]) -> str:
    """As `--only` takes them."""
    return ",".join(map(str, sorted(numbers))) or "none"
