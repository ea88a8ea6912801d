"""The system user that PostgreSQL runs as when the command is run by root, and the places that user can reach.

PostgreSQL refuses to run as root. No permission of an existing folder is loosened for it: where the other user
can't reach the checkout or the virtual environment, the data and a copy of the programs live elsewhere.
"""

import os
import shutil
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack.errors import DevstackError

if os.name != "nt":
    import pwd

OWN_USER = "devstack-postgres"
CANDIDATES = ("postgres", OWN_USER, "_postgres")  # the last is macOS's
ELSEWHERE = Path("/var/lib")
PREFIX = "devstack-"
YOUNG_SECONDS = 60  # its maker may not have linked to it yet


@dataclass(frozen=True)
class Account:
    """A user of the system, to run programs as."""

    name: str
    uid: int
    gid: int

    def popen_arguments(self) -> dict[str, Any]:
        """What subprocess needs to run a program as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def owns(self, path: Path) -> None:
        os.chown(path, self.uid, self.gid)

    def can_reach(self, folder: Path) -> bool:
        """True if this user may pass through `folder` and all above it."""
        return all(self._may_enter(step.stat()) for step in (folder.resolve(), *folder.resolve().parents))

    def _may_enter(self, folder: os.stat_result) -> bool:
        if folder.st_uid == self.uid:
            return bool(folder.st_mode & stat.S_IXUSR)
        if folder.st_gid == self.gid:
            return bool(folder.st_mode & stat.S_IXGRP)
        return bool(folder.st_mode & stat.S_IXOTH)


def server_account(data: Path) -> Account | None:
    """Whom to run PostgreSQL as: None for the present user, an account where that is root.

    Data that exist already are run by their owner.
    """
    if os.name == "nt" or os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat().st_uid) != 0:
        return _account(pwd.getpwuid(owner))
    for name in CANDIDATES:
        if found := _lookup(name):
            return found
    return _create()


def _lookup(name: str) -> Account | None:
    try:
        return _account(pwd.getpwnam(name))
    except KeyError:
        return None


def _account(entry: Any) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _create() -> Account:
    if program := shutil.which("useradd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
        command = [program, "--system", "--no-create-home", "--shell", "/bin/false", OWN_USER]
        subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - our own command, no shell
    found = _lookup(OWN_USER) or _lookup("nobody")
    if found is None:
        raise DevstackError(
            "PostgreSQL does not run as root, and no other user could be made. Run this command as an ordinary user,"
            f" or make one: useradd --system {OWN_USER}"
        )
    return found


def reachable_home(wanted: Path, account: Account) -> Path:
    """A folder owned by the account: `wanted` if it can get there, else one elsewhere with `wanted` linking to it."""
    if not wanted.exists():
        wanted.unlink(missing_ok=True)  # a link whose target is gone
        if account.can_reach(wanted.parent):
            wanted.mkdir()
        else:
            wanted.symlink_to(_home_elsewhere(wanted, account), target_is_directory=True)
        account.owns(wanted)
    return wanted.resolve()


def _home_elsewhere(wanted: Path, account: Account) -> Path:
    base = ELSEWHERE if os.access(ELSEWHERE, os.W_OK) and account.can_reach(ELSEWHERE) else Path(tempfile.gettempdir())
    home = Path(tempfile.mkdtemp(dir=base, prefix=PREFIX))
    (home / "owner").write_text(str(wanted), encoding="utf-8")
    return home


def abandoned_homes() -> list[Path]:
    """Homes made elsewhere whose checkout is gone or has another one now: nothing will ever use them again."""
    old = [owner for owner in ELSEWHERE.glob(f"{PREFIX}*/owner") if owner.stat().st_mtime < time.time() - YOUNG_SECONDS]
    homes = {owner.parent: Path(owner.read_text(encoding="utf-8")) for owner in old}
    return [home for home, wanted in homes.items() if wanted.resolve() != home]


def usable_package(package: Path, programs: str, home: Path, account: Account) -> Path:
    """`package` (a Python package with `programs` in it) if the account can run those, else a copy under `home`."""
    if account.can_reach(package / programs) and _runs(package / programs, account):
        return package
    copy = home / f"programs-{package.stat().st_mtime_ns}"
    if not copy.exists():
        draft = Path(tempfile.mkdtemp(dir=home, prefix="draft-"))
        # The second holds shared libraries, which the programs look for beside the package.
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.exists():
                shutil.copytree(part, draft / part.name, symlinks=True)
        _let_everyone_read(draft)
        draft.rename(copy)  # last, so that a half-made copy is never taken for one
    return copy / package.name


def _let_everyone_read(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)


def _runs(programs: Path, account: Account) -> bool:
    try:
        command = [str(programs / "postgres"), "--version"]
        done = subprocess.run(  # noqa: S603 - our own command, no shell
            command, capture_output=True, cwd="/", check=False, **account.popen_arguments()
        )
    except OSError:
        return False
    return done.returncode == 0
