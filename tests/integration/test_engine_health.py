"""The engine and the database's health: what a held lock does to the limit, and that it can be switched off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.db import DatabaseError, connection

from consumers.engine.signals import SignalReader
from tests.integration.engine import consume, settings_with
from tests.makers import order
from tests.orders import Order, OrderConsumer

CHECKOUT = Path(__file__).resolve().parents[2]


def play(adaptive: str) -> dict[str, Any]:
    """Runs the program `adapting` on the test database."""
    server = connection.settings_dict
    address = f"{quote(server['USER'])}:{quote(server['PASSWORD'])}@{server['HOST']}:{server['PORT']}"
    environment = {**os.environ, "DATABASE_URL": f"postgres://{address}/{server['NAME']}"}
    command = [sys.executable, "-m", "tests.integration.adapting", adaptive]
    done = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_held_lock_lowers_the_limit_and_it_recovers_when_the_lock_is_gone(committed: None) -> None:
    played = play("on")
    assert played["while_locked"] == 1
    lowered, recovered = (
        next(n for n, line in enumerate(played["moves"]) if what in line) for what in ("wait for locks", "is over")
    )
    assert lowered < recovered
    assert played["moves"][recovered] == "writers at once 1 to 2: what held it up is over"
    assert played["written"] == Order.objects.count() > 0
    assert played["failed"] == 0


def test_switched_off_a_held_lock_moves_nothing(committed: None) -> None:
    played = play("off")
    assert played["moves"] == []
    assert played["while_locked"] == played["limit"] == settings_with(adaptive=False).permits
    assert played["chunk_records"] == OrderConsumer.batch.chunk_records
    assert played["last_move"] == ""
    assert played["written"] == Order.objects.count() > 0


@pytest.mark.django_db
def test_a_runner_alone_adapts_nothing() -> None:
    summary = consume(OrderConsumer, order(), adaptive=True).summary()
    assert summary["limit"] == settings_with().permits
    assert (summary["chunk_records"], summary["last_move"]) == (OrderConsumer.batch.chunk_records, "")


@pytest.mark.django_db
def test_a_look_sees_neither_itself_nor_those_that_rest() -> None:
    signals = SignalReader("default").read()
    assert signals is not None
    assert signals.blocked == 0
    assert signals.replica_lag == 0


@pytest.mark.django_db
def test_a_look_that_the_database_refuses_brings_nothing() -> None:
    def refuse(*args: Any) -> Any:
        raise DatabaseError("no")

    with connection.execute_wrapper(refuse):
        assert SignalReader("default").read() is None
