"""The engine's settings: `CONSUMERS` in Django's settings, a dictionary of the fields below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from django.conf import settings

from consumers.core.alerting import AlertPolicy
from consumers.core.errors import Misconfigured
from consumers.core.flood import FloodPolicies, FloodPolicy


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """How consumers run. Times in seconds."""

    bootstrap_servers: str = "127.0.0.1:9092"
    properties: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Any librdkafka properties; they win over the engine's own. Not in the repr: passwords and keys are among them."""
    group_protocol: str = "classic"
    """"classic", or "consumer" for the protocol of KIP-848 (broker 4.0 or newer)."""
    topic_prefix: str = ""
    """Comes before the topics that consumers name, so that several environments can share a broker."""
    lanes: int = 3
    """Lanes write side by side, each one chunk at a time."""
    database_permits: int = 0
    """Connections that lanes may hold at once; 0 means the pool's size less `database_reserve`."""
    database_reserve: int = 3
    """Connections of the pool left for what is not a lane: the look at the database's health, the report, and what is
    done now and then."""
    database: str = "default"
    """The alias of the database that consumers and commands work on. The admin looks at `default` alone."""
    adaptive: bool = True
    """Whether the number of lanes that write at once, and the size of chunks, follow the database's health. If not, all
    lanes may write (as far as there are connections), and chunks are as large as the consumer's policy says."""
    min_writers: int = 2
    """Lanes of all consumers in the process that may write at once, at the least (as far as there are so many). With
    one, nothing is written while the process computes."""
    max_writers: int = 0
    """And at the most; 0 means as many as there are connections for lanes."""
    target_write_time: float = 0.5
    """Chunks are made so large that writing one takes about this long, in seconds. Less makes each row dearer; beside
    others that use the database even a chunk of 2,000 rows takes 0.4."""
    min_chunk_records: int = 100
    """But no smaller than this, and never larger than the consumer's policy (`chunk_records`) or `--chunk-size`."""
    flood_guard: bool = True
    flood: FloodPolicy = field(default_factory=FloodPolicy)
    flood_topics: Mapping[str, FloodPolicy | Mapping[str, Any]] = field(default_factory=dict)
    """By topic, as consumers name them: a policy of its own, or the fields in which it differs from `flood`."""
    release_on_save: int = 100
    """When a row is saved that failed records wait for, so many of them are processed at once, in the thread that saved
    it; the others are left to `reprocess_failures --watch`. 0: all of them."""
    commit_interval: float = 1.0
    """Offsets are committed to the broker this often; the ledger moves with every chunk."""
    revoke_timeout: float = 30.0
    """How long a rebalance waits for chunks in flight before their partitions are given up."""
    drain_timeout: float = 60.0
    """How long a stop waits for chunks in flight."""
    stuck_timeout: float = 300.0
    """A chunk in flight for longer, without an outage that explains it, stops the process with its stack traces in the
    log; 0 means never."""
    transaction_idle_timeout: float = 30.0
    """The server ends a chunk's transaction that has been idle this long: a frozen process must not hold its locks."""

    reporting_interval: float = 2.0
    """Each process reports itself to the database this often, for the console, and reads what operators have ordered.
    0: it does neither."""
    metrics_port: int = 0
    """Where each consuming process serves /metrics, /livez and /readyz; 0: it does not."""
    metrics_host: str = "127.0.0.1"
    """The address that it serves them on; 0.0.0.0 to be reached from other hosts."""
    not_ready_after: float = 60.0
    """Records have waited for so long and none was settled: /readyz says so; /livez after `stuck_timeout`."""
    tracing: bool = False
    """Whether chunks have OpenTelemetry spans, linked to the traces of their records: `consumers.telemetry.traces`."""
    version: str = ""
    """What is deployed, a release's number or commit; shown with each worker."""

    alerts: AlertPolicy | Mapping[str, Any] = field(default_factory=AlertPolicy, repr=False)
    """A policy, or the fields in which it differs from the default one."""
    keep_resolved_days: int = 30
    """`prune_failures` deletes failed records that were resolved longer ago; 0: none."""
    keep_discarded_days: int = 90
    """And those that were discarded longer ago; 0: none. Pending ones are never deleted."""
    keep_groups_days: int = 365
    """And failure groups of which no record is left and that were last seen longer ago: it is still known for so long
    that they came back."""

    def real_topics(self, topics: Sequence[str]) -> list[str]:
        """The names on the broker of topics as consumers name them."""
        return [self.topic_prefix + topic for topic in topics]

    def flood_policies(self) -> FloodPolicies:
        """What the flood guard goes by; topics under their real names.

        Raises:
            Misconfigured: a policy makes no sense.
        """
        if not self.flood_guard:
            return FloodPolicies(FloodPolicy(enabled=False))
        default = self._flood_policy("flood", self.flood)
        topics = {name: self._flood_policy(f"flood_topics[{name!r}]", each) for name, each in self.flood_topics.items()}
        return FloodPolicies(default, {self.topic_prefix + name: policy for name, policy in topics.items()})

    def alert_policy(self) -> AlertPolicy:
        """What is told to operators, and how.

        Raises:
            Misconfigured: it makes no sense.
        """
        if isinstance(self.alerts, AlertPolicy):
            return self.alerts
        known = {each.name for each in fields(AlertPolicy)}
        if not isinstance(self.alerts, Mapping) or not known.issuperset(self.alerts):
            raise Misconfigured(f"settings.CONSUMERS: alerts must have keys among {sorted(known)}")
        return AlertPolicy(**self.alerts)

    def _flood_policy(self, where: str, given: FloodPolicy | Mapping[str, Any]) -> FloodPolicy:
        if isinstance(given, FloodPolicy):
            return given
        known = {each.name for each in fields(FloodPolicy)}
        if not isinstance(given, Mapping) or not known.issuperset(given):
            raise Misconfigured(f"settings.CONSUMERS: {where} must have keys among {sorted(known)}, not {given!r}")
        return replace(self.flood, **given)

    @property
    def permits(self) -> int:
        """Connections that lanes may hold at once."""
        return self.database_permits or max(1, self.pool_size - self.database_reserve)

    @property
    def pool_size(self) -> int:
        """The most connections that the process can hold; without a pool there is no bound but the server's.

        Raises:
            Misconfigured: there is no such database.
        """
        if self.database not in settings.DATABASES:
            known = sorted(settings.DATABASES)
            raise Misconfigured(f"settings.CONSUMERS['database'] is {self.database!r}; settings.DATABASES has {known}")
        pool = settings.DATABASES[self.database].get("OPTIONS", {}).get("pool")
        if not pool:
            return 10
        return int(pool.get("max_size") or pool.get("min_size", 4)) if isinstance(pool, dict) else 4


def engine_settings() -> EngineSettings:
    """The settings in force.

    Raises:
        Misconfigured: `CONSUMERS` has a key that means nothing; the message lists those that do.
    """
    given = getattr(settings, "CONSUMERS", {})
    known = {each.name for each in fields(EngineSettings)}
    unknown = sorted(set(given) - known)
    if unknown:
        raise Misconfigured(f"settings.CONSUMERS has unknown keys {unknown}; known: {sorted(known)}")
    return EngineSettings(**given)
