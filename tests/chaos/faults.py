"""The catalogue: what can go wrong, kind by kind."""

from __future__ import annotations

import signal

from tests.chaos.fault import Act
from tests.chaos.process_faults import (
    abort,
    freeze,
    freeze_at,
    join_and_leave,
    kill,
    kill_at,
    kill_reprocessing,
    pause_in_flight,
    terminate,
)
from tests.chaos.proxy import Mode
from tests.chaos.server_faults import (
    BROKER,
    DATABASE,
    cut,
    end_backends,
    end_one_backend,
    fill_disk,
    half_close,
    lock_table,
    lose_commit,
    network,
    refuse_connections,
    stop_kafka,
    stop_postgres,
    time_out_statements,
)
from tests.chaos.victim import BEFORE_COMMIT, BEFORE_WRITING, POINTS

FROZEN, JOINED = "consumer: frozen", "consumer: one joins and leaves"
PAUSED = "consumer: partitions paused in flight"
FREEZE_POINTS = (BEFORE_WRITING, BEFORE_COMMIT)

# By kind: how often it is drawn, relative to the others, and what it does.
KINDS: dict[str, tuple[float, Act]] = {
    "consumer: kill -9": (12, kill),
    "consumer: SIGTERM": (6, terminate),
    "consumer: SIGTERM twice": (2, abort),
    f"{FROZEN} past its session": (4, freeze),
    **{f"{FROZEN} {point}": (4, freeze_at(point)) for point in FREEZE_POINTS},
    PAUSED: (4, pause_in_flight),
    JOINED: (3, join_and_leave),
    **{f"consumer: killed {point}": (3, kill_at(point)) for point in POINTS},
    "reprocessing: killed before COMMIT": (2, kill_reprocessing),
    "database: stopped fast": (2, stop_postgres(signal.SIGINT)),
    "database: stopped immediately": (2, stop_postgres(signal.SIGQUIT)),
    "database: all sessions terminated": (8, end_backends),
    "database: one session terminated": (6, end_one_backend),
    "database: a table locked": (6, lock_table),
    "database: statement timeout": (3, time_out_statements),
    "database: too many connections": (3, refuse_connections),
    "database: disk full": (4, fill_disk),
    "broker: kill -9": (0.7, stop_kafka(signal.SIGKILL)),
    "broker: SIGTERM": (0.5, stop_kafka(signal.SIGTERM)),
    "network to the database: cut": (8, cut(DATABASE)),
    "network to the database: refused": (3, network(DATABASE, Mode.REFUSE)),
    "network to the database: slow": (3, network(DATABASE, Mode.SLOW)),
    "network to the database: black hole": (3, network(DATABASE, Mode.HOLE)),
    "network to the database: answers lost": (5, network(DATABASE, Mode.DEAF)),
    "network to the database: half-closed": (3, half_close(DATABASE)),
    "network to the database: lost in a COMMIT that took": (4, lose_commit(took=True)),
    "network to the database: lost in a COMMIT that did not": (4, lose_commit(took=False)),
    "network to the broker: cut": (6, cut(BROKER)),
    "network to the broker: refused": (3, network(BROKER, Mode.REFUSE)),
    "network to the broker: slow": (3, network(BROKER, Mode.SLOW)),
    "network to the broker: black hole": (3, network(BROKER, Mode.HOLE)),
    "network to the broker: answers lost": (3, network(BROKER, Mode.DEAF)),
    "network to the broker: half-closed": (2, half_close(BROKER)),
}

# Faults that hit the few moments on which exactly-once hangs. A round of these shows a bug there sooner than chance.
AIMED = (
    "consumer: killed with the ledger locked",
    "consumer: killed before COMMIT",
    "consumer: killed after COMMIT",
    *(f"{FROZEN} {point}" for point in FREEZE_POINTS),
    "network to the database: lost in a COMMIT that took",
    "network to the database: lost in a COMMIT that did not",
    "database: all sessions terminated",
    "database: disk full",
)
