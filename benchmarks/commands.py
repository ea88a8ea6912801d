"""Starting programs of this checkout in the benchmark's environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.servers import Servers

CHECKOUT = Path(__file__).resolve().parent.parent
TAIL_LINES = 8


class CommandFailed(Exception):
    """A program ended with an exit code other than 0; the message has its last lines."""


@dataclass
class Process:
    """A program at work. What it prints goes to files, so that it never waits for a reader."""

    popen: subprocess.Popen[bytes]
    out: Path
    err: Path

    def end(self, seconds: float) -> None:
        """Wait until it has ended.

        Raises:
            CommandFailed: it failed, or took longer than `seconds` (it is killed then).
        """
        try:
            code = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise CommandFailed(f"did not end within {seconds:.0f} s:\n{self.tail()}") from None
        if code:
            raise CommandFailed(f"exit code {code}:\n{self.tail()}")

    def kill(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()

    def tail(self) -> str:
        """Its last lines, errors after output."""
        texts = (path.read_text(errors="replace").splitlines()[-TAIL_LINES:] for path in (self.out, self.err))
        return "\n".join(line for lines in texts for line in lines)


@dataclass
class Commands:
    """Starts programs against the given servers; their output is kept in `folder`."""

    servers: Servers
    folder: Path
    _count: int = field(default=0, init=False)

    def environment(self, own: Mapping[str, str]) -> dict[str, str]:
        """The shell's, with our servers; what the shell says of the engine (CONSUMERS_LANES, ..) stays in force."""
        ours = {
            "DATABASE_URL": self.servers.database_url,
            "KAFKA_BOOTSTRAP_SERVERS": self.servers.bootstrap_servers,
            "DEVSTACK_DIR": str(self.servers.folder),
            "PYTHONPATH": str(CHECKOUT),
        }
        return {**os.environ, **ours, **own}

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], stdin: int = subprocess.DEVNULL
    ) -> Process:
        """Start Python with these arguments in the checkout; `environment` goes before all else that is set."""
        self._count += 1
        out, err = (self.folder / f"{self._count:03}.{name}" for name in ("out", "err"))
        with out.open("wb") as stdout, err.open("wb") as stderr:
            popen = subprocess.Popen(  # noqa: S603 - our own programs, no shell
                [sys.executable, *arguments],
                cwd=CHECKOUT,
                env=self.environment(environment),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
            )
        return Process(popen, out, err)

    def manage(self, *arguments: str, environment: Mapping[str, str]) -> None:
        """Run a management command to its end.

        Raises:
            CommandFailed: it failed.
        """
        self.start(["manage.py", *arguments], environment).end(120)
