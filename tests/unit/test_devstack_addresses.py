"""What settings read at every start: addresses that may be missing or broken, and the secret key."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from devstack import addresses
from devstack.addresses import Addresses, local_addresses, local_secret, state_folder

DEFAULTS = Addresses(addresses.DEFAULT_DATABASE_URL, addresses.DEFAULT_BOOTSTRAP_SERVERS)


def test_a_stack_never_started_has_loopback_defaults(tmp_path: Path) -> None:
    assert local_addresses(tmp_path / "absent") == DEFAULTS


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"postgres": {"url": "postgres://x',
        b"[]",
        b"null",
        b'"text"',
        b'{"postgres": null, "kafka": 1}',
        b'{"postgres": {"url": 5}, "kafka": {"url": ""}}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
    ],
)
def test_a_broken_state_file_counts_as_never_started(tmp_path: Path, content: bytes) -> None:
    (tmp_path / addresses.STATE_FILE).write_bytes(content)
    assert local_addresses(tmp_path) == DEFAULTS


def test_what_the_state_file_says_is_used_server_by_server(tmp_path: Path) -> None:
    (tmp_path / addresses.STATE_FILE).write_text(json.dumps({"kafka": {"url": "127.0.0.1:20001", "port": 20001}}))
    assert local_addresses(tmp_path) == Addresses(addresses.DEFAULT_DATABASE_URL, "127.0.0.1:20001")


def test_the_state_folder_is_in_the_checkout_unless_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DEVSTACK_DIR", raising=False)
    assert state_folder(tmp_path) == tmp_path / ".devstack"
    monkeypatch.setenv("DEVSTACK_DIR", str(tmp_path / "elsewhere"))
    assert state_folder(tmp_path) == tmp_path / "elsewhere"


def test_the_secret_is_long_kept_and_private(tmp_path: Path) -> None:
    secret = local_secret(tmp_path / "new")
    assert len(secret) >= 50
    assert local_secret(tmp_path / "new") == secret
    if os.name != "nt":
        assert (tmp_path / "new" / addresses.SECRET_FILE).stat().st_mode & 0o777 == 0o600


def test_an_empty_secret_file_is_filled(tmp_path: Path) -> None:
    (tmp_path / addresses.SECRET_FILE).touch()
    secret = local_secret(tmp_path)
    assert len(secret) >= 50
    assert local_secret(tmp_path) == secret


def test_a_secret_that_cannot_be_kept_is_still_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert len(local_secret(tmp_path / "file")) >= 50


def test_processes_that_race_for_the_secret_agree(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from devstack.addresses import local_secret as secret;"
    command = [sys.executable, "-c", program + "print(secret(Path(sys.argv[1])))", str(tmp_path / "race")]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    assert len({racer.communicate()[0] for racer in racers}) == 1
    assert [entry.name for entry in (tmp_path / "race").iterdir()] == [addresses.SECRET_FILE]


def test_settings_can_import_it_without_anything_heavy() -> None:
    program = "import sys, devstack.addresses; print([m for m in ('django', 'psutil', 'psycopg') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
