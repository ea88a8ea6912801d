"""A PostgreSQL that takes nothing but TLS, and a broker with a listener for each way to connect."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
from psycopg import sql

from consumers.kafka.quiet import QuietLogger
from devstack.addresses import Addresses
from devstack.kafka import Kafka
from devstack.ports import HOST, free_port
from devstack.postgres import USER as SUPERUSER
from devstack.postgres import Postgres, Tools
from tests.e2e.certificates import Authority

INSTALL = (
    "no PostgreSQL with TLS on this machine; the embedded one is built without. On Debian and Ubuntu: "
    "apt install postgresql; elsewhere set POSTGRES_BIN to the folder of its programs"
)
DEBIAN = Path("/usr/lib/postgresql")

USER = "kafka-app"
PASSWORD = "marker-kafka-pässword"
SECONDS = 30

_LISTENERS = """
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,MUTUAL:SSL,LOGIN:SASL_SSL
inter.broker.listener.name=PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location={server}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
listener.name.mutual.ssl.client.auth=required
listener.name.login.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.login.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
"""

# One line: whoever comes over TCP comes by TLS and with a password.
_RULES = "hostssl all all 127.0.0.1/32 scram-sha-256\n"


def programs() -> Path | None:
    """The folder of a PostgreSQL that was built with TLS, the newest there is."""
    named = os.environ.get("POSTGRES_BIN", "")
    found = sorted(DEBIAN.glob("*/bin"), key=lambda each: float(each.parent.name), reverse=True)
    on_path = shutil.which("pg_ctl")
    candidates = [Path(named)] if named else [*found, *([Path(on_path).parent] if on_path else [])]
    return next(filter(_has_tls, candidates), None)


def _has_tls(folder: Path) -> bool:
    try:
        done = subprocess.run([folder / "pg_config", "--configure", "--version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return b"openssl" in done.stdout and (folder / "initdb").exists()


class SystemTools(Tools):
    """The programs of the system's PostgreSQL, which may be too old for what the embedded one is asked."""

    def make_data(self, data: Path, password: str) -> None:
        secret = self.home / "superuser"
        secret.write_text(password, encoding="ascii")
        if self.runner:
            self.runner.owns(secret)
        how = ("-U", SUPERUSER, "-A", "scram-sha-256", "--pwfile", secret, "-E", "UTF8", "--no-locale")
        self.run("initdb", "-D", data, *how, log=self.home / "initdb.log")


@dataclass(frozen=True)
class SystemPostgres(Postgres):
    """The local stack's server, of other programs."""

    programs: Path = Path()

    def _tools(self) -> Tools:
        tools = super()._tools()
        return SystemTools(self.programs, tools.home, tools.outputs, tools.runner)


@dataclass(frozen=True)
class GuardedKafka(Kafka):
    """The local stack's broker, which keeps its open listener for the test itself, with two more: one that asks clients
    for a certificate (`mutual`), and one that asks for a login over TLS (`login`)."""

    mutual: int = 0
    login: int = 0
    server: Path = Path()
    authority: Path = Path()

    def _write_settings(self, port: int) -> None:
        super()._write_settings(port)
        plain = f"PLAINTEXT://{HOST}:{port}"
        more = f"MUTUAL://{HOST}:{self.mutual},LOGIN://{HOST}:{self.login}"
        text = self._settings.read_text(encoding="utf-8")
        text = text.replace(f"listeners={plain},", f"listeners={plain},{more},")
        text = text.replace(f"advertised.listeners={plain}\n", f"advertised.listeners={plain},{more}\n")
        text += _LISTENERS.format(server=self.server, authority=self.authority)
        self._settings.write_text(text, encoding="utf-8")

    def add_user(self, bootstrap_servers: str) -> None:
        """The one who may log in."""
        client = AdminClient({"bootstrap.servers": bootstrap_servers}, logger=QuietLogger())
        how = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        asked = client.alter_user_scram_credentials([UserScramCredentialUpsertion(USER, how, PASSWORD.encode())])
        asked[USER].result(SECONDS)


class TlsServers:
    """Both servers, and what a client needs to reach them."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder, "authority")
        self.stranger = Authority(folder, "stranger")
        """An authority that signed nothing of what the servers show."""
        self.client = self.authority.sign("client")
        server = self.authority.sign("server", HOST, "localhost")
        self.kafka = GuardedKafka(folder, free_port(), free_port(), server, self.authority.file)
        self.postgres = SystemPostgres(folder, programs)
        self._server = server
        self._ports = free_port(), free_port()

    @cached_property
    def direct(self) -> Addresses:
        """For the test itself: the superuser, and the listener without a guard."""
        url = f"{self.postgres.url(self._ports[0])}?{self.trusting(self.authority)}"
        return Addresses(url, self.kafka.url(self._ports[1]))

    # ---- what clients are told --------------------------------------------------------------------------------------

    def database_url(self, user: str, password: str, name: str, how: str) -> str:
        """A DATABASE_URL; `how` is its query."""
        return f"postgres://{user}:{quote(password, safe='')}@{HOST}:{self._ports[0]}/{name}?{how}"

    def trusting(self, authority: Authority) -> str:
        """The query of a DATABASE_URL that checks who answers."""
        return f"sslmode=verify-full&sslrootcert={quote(str(authority.file), safe='')}"

    @property
    def mutual(self) -> str:
        """Bootstrap servers."""
        return f"{HOST}:{self.kafka.mutual}"

    @property
    def login(self) -> str:
        return f"{HOST}:{self.kafka.login}"

    def by_certificate(self, authority: Authority | None = None, client: Path | None = None) -> dict[str, Any]:
        """KAFKA_PROPERTIES for the listener that asks for a certificate."""
        file = str(client or self.client)
        return {
            "security.protocol": "SSL",
            "ssl.ca.location": str((authority or self.authority).file),
            "ssl.certificate.location": file,
            "ssl.key.location": file,
        }

    def by_password(self, password: str = PASSWORD, authority: Authority | None = None) -> dict[str, Any]:
        """KAFKA_PROPERTIES for the listener that asks for a login."""
        return {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str((authority or self.authority).file),
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": USER,
            "sasl.password": password,
        }

    # ---- up and down ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        port, broker_port = self._ports
        self.kafka.start(broker_port, _quiet)  # the slower one, which comes up meanwhile
        self.postgres.start(port, _quiet)
        self.postgres.wait_until_ready(self.postgres.url(port))
        self._guard_postgres(port)
        self.kafka.wait_until_ready(self.kafka.url(broker_port))
        self.kafka.add_user(self.kafka.url(broker_port))

    def _guard_postgres(self, port: int) -> None:
        """Turn TLS on, and everything else off."""
        owner = self.postgres.data.stat()
        key = self.postgres.data / "server.pem"
        shutil.copyfile(self._server, key)
        key.chmod(0o600)
        shutil.chown(key, owner.st_uid, owner.st_gid)
        with psycopg.connect(self.postgres.url(port), autocommit=True) as connection:
            for name in ("ssl_cert_file", "ssl_key_file"):
                connection.execute(sql.SQL("ALTER SYSTEM SET {} = 'server.pem'").format(sql.Identifier(name)))
            connection.execute("ALTER SYSTEM SET ssl = on")
            (self.postgres.data / "pg_hba.conf").write_text(_RULES, encoding="utf-8")
            connection.execute("SELECT pg_reload_conf()")
        self.postgres.wait_until_ready(self.direct.database_url)

    def execute(self, statement: str, database: str = "postgres") -> None:
        """As the superuser."""
        with psycopg.connect(self.direct.database_url, dbname=database, autocommit=True) as connection:
            connection.execute(sql.SQL(statement))

    def close(self) -> None:
        self.kafka.stop()
        self.postgres.stop()


@contextmanager
def tls_servers(programs: Path) -> Iterator[TlsServers]:
    folder = Path(tempfile.mkdtemp(prefix="tls-stack-"))
    folder.chmod(0o755)  # PostgreSQL may run as another user
    servers = TlsServers(folder, programs)
    try:
        servers.start()
        yield servers
    finally:
        servers.close()
        shutil.rmtree(folder, ignore_errors=True)


def _quiet(line: str) -> None:
    """What the stack reports at each start is not news here."""
