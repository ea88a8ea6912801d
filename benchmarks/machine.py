"""The machine and the versions that the figures belong to."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import confluent_kafka
import psutil

from benchmarks.commands import CHECKOUT
from devstack.download import VERSION as KAFKA_VERSION

PACKAGES = ("Django", "psycopg", "confluent-kafka", "gevent", "msgspec")
OWN_VARIABLES = ("CONSUMERS_", "KAFKA_PROPERTIES", "KAFKA_GROUP_PROTOCOL", "DATABASE_POOL_SIZE")


def describe() -> dict[str, Any]:
    """What a reader must know of the machine, as strings and numbers; memory in GB."""
    return {
        "cpu": _cpu_model(),
        "cores": psutil.cpu_count() or 0,
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_version()} ({Path(sys.executable).resolve()})",
        "kafka": KAFKA_VERSION,
        "librdkafka": confluent_kafka.libversion()[0],
        "packages": {name: version(name) for name in PACKAGES},
        "load_before": round(os.getloadavg()[0], 2),
        "commit": _commit(),
        "environment": {name: value for name, value in os.environ.items() if name.startswith(OWN_VARIABLES)},
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _commit() -> str:
    """The checkout's commit, marked if files differ from it; empty outside a repository."""
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        # our own commands, no shell
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return ""
    return done.stdout.strip()
