"""What the stack remembers between commands, and that two commands do not work at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devstack import addresses, state


def test_a_remembered_server_is_read_back_and_the_other_is_kept(tmp_path: Path) -> None:
    state.remember(tmp_path, "postgres", port=20001, url="postgres://u:p@127.0.0.1:20001/d")
    state.remember(tmp_path, "kafka", port=20002, url="127.0.0.1:20002")
    assert (state.kept_port(tmp_path, "postgres"), state.kept_port(tmp_path, "kafka")) == (20001, 20002)
    expected = addresses.Addresses("postgres://u:p@127.0.0.1:20001/d", "127.0.0.1:20002")
    assert addresses.local_addresses(tmp_path) == expected
    if os.name != "nt":
        assert (tmp_path / addresses.STATE_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("entry", ["null", "{}", '{"port": "x"}', '{"port": 0}', '{"port": 70000}', "[1]"])
def test_a_port_that_makes_no_sense_is_none(tmp_path: Path, entry: str) -> None:
    (tmp_path / addresses.STATE_FILE).write_text(f'{{"kafka": {entry}}}')
    assert state.kept_port(tmp_path, "kafka") is None


def test_remembering_mends_a_broken_state_file(tmp_path: Path) -> None:
    (tmp_path / addresses.STATE_FILE).write_text("{half")
    state.remember(tmp_path, "kafka", port=20002, url="127.0.0.1:20002")
    assert state.kept_port(tmp_path, "kafka") == 20002


def test_a_second_process_says_that_it_waits_and_then_gets_its_turn(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from devstack.state import locked\n"
        "with locked(Path(sys.argv[1]), lambda: print('waiting', flush=True)): print('in', flush=True)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "lock")]
    with state.locked(tmp_path / "lock", lambda: pytest.fail("nobody else holds it")):
        second = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert second.stdout is not None
        assert second.stdout.readline() == "waiting\n"
    assert second.communicate()[0] == "in\n"
    assert second.returncode == 0


def test_a_killed_holder_leaves_the_lock_free(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from devstack.state import locked\n"
        "with locked(Path(sys.argv[1]), lambda: None): os.abort()"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "lock")], check=False, capture_output=True)
    with state.locked(tmp_path / "lock", lambda: pytest.fail("its holder is dead")):
        pass
