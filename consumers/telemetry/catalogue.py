"""Every metric of a consuming process: its name, what it tells, and by what it is told apart.

Counters begin at 0 with the process. `consumer` is a registered name. With `--processes N` the supervisor adds the
label `process`.
"""

from __future__ import annotations

from collections.abc import Callable

from consumers.core.exposition import Kind, Metric

OF_CONSUMER = ("consumer", "group")
OF_PARTITION = (*OF_CONSUMER, "topic", "partition")

MOST_REASONS = 50
"""Reasons that are told apart; a consumer that makes reasons up as it goes must not fill the monitoring's memory."""
OTHER = "other"

ALL: dict[str, Metric] = {}
"""By name."""


def _metric(kind: Kind) -> Callable[..., Metric]:
    def declare(name: str, text: str, *labels: str) -> Metric:
        return ALL.setdefault(name, Metric(name, kind, text, labels))

    return declare


_counter, _gauge, _histogram = _metric("counter"), _metric("gauge"), _metric("histogram")


RECORDS = _counter("consumers_records_total", "Records settled, by what became of them.", *OF_CONSUMER, "outcome")
FAILURES = _counter(
    "consumers_failures_total",
    f"Records stored as failed, by reason; beyond {MOST_REASONS} reasons as {OTHER}.",
    *OF_CONSUMER,
    "reason",
)
CHUNKS = _counter("consumers_chunks_total", "Chunks settled: one transaction each.", *OF_CONSUMER)
STAGES = _counter(
    "consumers_stage_seconds_total",
    "Time spent in each stage, summed over lanes; settle includes write, wait is a lane without work.",
    *OF_CONSUMER,
    "stage",
)
CHUNK_SECONDS = _histogram(
    "consumers_chunk_seconds",
    "Time that settling a chunk took, waits and repetitions included.",
    *OF_CONSUMER,
)
FRESHNESS = _histogram(
    "consumers_freshness_seconds",
    "Age of a chunk's last record when it was settled, by the record's own timestamp.",
    *OF_CONSUMER,
)
STATE = _gauge("consumers_state", "1 for the state that the consumer is in, 0 for the others.", *OF_CONSUMER, "state")
IN_FLIGHT = _gauge(
    "consumers_in_flight_records", "Records of chunks that are prepared, processed or settled right now.", *OF_CONSUMER
)
WAITING = _gauge("consumers_waiting_records", "Records that were read and wait for a chunk.", *OF_CONSUMER)
CHUNK_LIMIT = _gauge("consumers_chunk_limit_records", "The most records that a chunk may hold now.", *OF_CONSUMER)
WORKERS = _gauge("consumers_workers", "Workers that process a chunk's records.", *OF_CONSUMER)
LANES = _gauge("consumers_lanes", "Lanes: chunks that can be in work side by side.", *OF_CONSUMER)
LAST_SETTLED = _gauge(
    "consumers_last_settled_timestamp_seconds",
    "When a chunk was last settled; absent until one is.",
    *OF_CONSUMER,
)
LAST_POLLED = _gauge("consumers_last_polled_timestamp_seconds", "When the broker was last polled.", *OF_CONSUMER)
STANDSTILL = _gauge(
    "consumers_standstill_seconds",
    "For how long a chunk has been in flight without anything moving.",
    *OF_CONSUMER,
)
HOLDING = _gauge("consumers_holding", "1 while an outage of the database holds chunks up, else 0.", *OF_CONSUMER)
BROKER_AWAY = _gauge("consumers_broker_away", "1 while no broker answers, else 0.", *OF_CONSUMER)
REBALANCES = _counter(
    "consumers_rebalances_total", "Times that partitions were assigned, revoked or lost.", *OF_CONSUMER
)
FENCED = _counter(
    "consumers_fenced_partitions_total",
    "Partitions that another member was found to have claimed.",
    *OF_CONSUMER,
)
OUTAGES = _counter("consumers_outages_total", "Outages of the database that held work up.", *OF_CONSUMER)

LAG = _gauge(
    "consumers_partition_lag_records",
    "Offsets from what is settled to the log's end; absent while either is unknown.",
    *OF_PARTITION,
)
SETTLED = _gauge("consumers_partition_settled_offset", "The next offset to be settled.", *OF_PARTITION)
COMMITTED = _gauge(
    "consumers_partition_committed_offset", "What the broker was last told, for other tools.", *OF_PARTITION
)
END = _gauge("consumers_partition_end_offset", "The log's end, as last heard of.", *OF_PARTITION)
PAUSED = _gauge("consumers_partition_paused", "1 while an operator has it paused, else 0.", *OF_PARTITION)

WRITERS_LIMIT = _gauge("consumers_writers_limit", "Lanes that may write at once now; the limiter moves it.")
WRITERS_CEILING = _gauge("consumers_writers_ceiling", "The most that the limiter may allow.")
WRITERS = _gauge("consumers_writers", "Lanes that write or wait for their turn.", "state")
CONNECTIONS = _gauge("consumers_pool_connections", "Database connections of the process.", "state")
CONNECTIONS_MAX = _gauge("consumers_pool_connections_max", "The most connections that the pool may hold.")
POOL_WAITING = _gauge("consumers_pool_waiting", "Requests that wait for a connection.")
ALIVE = _gauge("consumers_alive", "1 if /livez answers 200, else 0.")
READY = _gauge("consumers_ready", "1 if /readyz answers 200, else 0.")
INFO = _gauge("consumers_build_info", "Always 1; the labels tell what runs.", "version")

RESIDENT = _gauge("process_resident_memory_bytes", "Memory held.")
CPU = _counter("process_cpu_seconds_total", "Processor time spent.")
STARTED = _gauge("process_start_time_seconds", "When the process started, in seconds since the epoch.")
