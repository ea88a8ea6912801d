"""Databases and topics of their own for tests that run commands as processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from devstack import stack
from devstack.addresses import Addresses, local_addresses, state_folder
from tests.conftest import missing_server
from tests.e2e.harness import CHECKOUT, Site


@pytest.fixture(scope="session")
def servers(bootstrap_servers: str) -> Addresses:
    """The suite's own servers, which every test leaves running."""
    addresses = stack.current_addresses(state_folder(CHECKOUT))
    try:
        psycopg.connect(addresses.database_url, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        missing_server(f"PostgreSQL does not answer: {error}")
    return Addresses(addresses.database_url, bootstrap_servers)


@pytest.fixture(scope="session")
def template(servers: Addresses) -> Iterator[str]:
    with template_database(servers) as name:
        yield name


@pytest.fixture
def site(servers: Addresses, template: str, tmp_path: Path) -> Iterator[Site]:
    """An installation with the sample's campaigns and no events."""
    with made_site(servers, template, tmp_path) as made:
        yield made


class PrivateStack:
    """Servers that a test may stop: a second local stack in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def manage(self, *arguments: str) -> None:
        own = dict.fromkeys(("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "DEVSTACK_POSTGRES_PORT"), "")
        environment = os.environ | own | {"DEVSTACK_KAFKA_PORT": "", "DEVSTACK_DIR": str(self.folder)}
        command = [sys.executable, "manage.py", "devstack", *arguments]
        subprocess.run(command, cwd=CHECKOUT, env=environment, check=True, capture_output=True)

    @contextmanager
    def without(self, server: str) -> Iterator[None]:
        """While the block lasts, "postgres" or "kafka" is down."""
        self.manage("down", "--only", server)
        try:
            yield
        finally:
            self.manage("up", "--only", server)


@pytest.fixture(scope="session")
def private_stack() -> Iterator[PrivateStack]:
    # Not tmp_path: pytest closes that to other users, and run by root PostgreSQL is one.
    folder = Path(tempfile.mkdtemp(prefix="e2e-stack-"))
    folder.chmod(0o755)
    private = PrivateStack(folder)
    try:
        private.manage("up")
        yield private
    finally:
        private.manage("down")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def private_template(private_stack: PrivateStack) -> Iterator[str]:
    with template_database(local_addresses(private_stack.folder)) as name:
        yield name


@pytest.fixture
def private_site(private_stack: PrivateStack, private_template: str, tmp_path: Path) -> Iterator[Site]:
    """An installation on servers that the test may stop."""
    with made_site(local_addresses(private_stack.folder), private_template, tmp_path) as made:
        yield made


@contextmanager
def template_database(servers: Addresses) -> Iterator[str]:
    """A migrated database with the sample's campaigns, from which others are copied."""
    with new_database(servers) as name, tempfile.TemporaryDirectory() as folder:
        site = Site(servers, name, Path(folder), prefix="")
        site.run("migrate", "--verbosity", "0").ok()
        site.run("load_sample").ok()
        yield name


@contextmanager
def made_site(servers: Addresses, template: str, folder: Path) -> Iterator[Site]:
    with new_database(servers, template) as name:
        site = Site(servers, name, folder, prefix=f"{name}.")
        try:
            yield site
        finally:
            site.close()
            site.forget_topics()


@contextmanager
def new_database(servers: Addresses, template: str = "template1") -> Iterator[str]:
    name = f"e2e_{uuid.uuid4().hex[:12]}"
    identifiers = sql.Identifier(name), sql.Identifier(template)
    statement = _on(servers)
    statement(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*identifiers))
    try:
        yield name
    finally:
        statement(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifiers[0]))


def _on(servers: Addresses) -> Callable[[sql.Composed], None]:
    def execute(statement: sql.Composed) -> None:
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            connection.execute(statement)

    return execute
