"""What the stack does without starting a server."""

from pathlib import Path

import pytest

from devstack import stack
from devstack.errors import DevstackError


@pytest.fixture
def both_given(monkeypatch: pytest.MonkeyPatch) -> stack.Addresses:
    monkeypatch.setenv("DATABASE_URL", "postgres://u:p@db.example/d")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka.example:9092")
    return stack.Addresses("postgres://u:p@db.example/d", "kafka.example:9092")


def test_with_both_addresses_given_nothing_is_started(both_given: stack.Addresses, tmp_path: Path) -> None:
    said: list[str] = []
    assert stack.up(tmp_path, said.append) == both_given
    assert [line.split(":")[1].split()[0] for line in said] == ["DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS"]
    assert not (tmp_path / "postgres").exists()
    assert not (tmp_path / "kafka").exists()


def test_servers_of_the_environment_are_shown_as_not_ours(both_given: stack.Addresses, tmp_path: Path) -> None:
    assert [(each.url, each.embedded, each.pid) for each in stack.status(tmp_path)] == [
        (both_given.database_url, False, None),
        (both_given.bootstrap_servers, False, None),
    ]


def test_down_of_a_stack_never_started_says_so_and_makes_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    stack.down(tmp_path / "absent", said.append)
    assert said == ["The local stack was never started"]
    assert not (tmp_path / "absent").exists()


def test_a_state_folder_that_cannot_be_made_is_named_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DevstackError, match=r"file.*set DEVSTACK_DIR"):
        stack.up(tmp_path / "file" / "state", lambda _: None)
