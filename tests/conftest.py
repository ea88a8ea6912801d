"""What the whole suite shares: the servers, sample rows, and the table of the test-only domain."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
from django.conf import settings as django_settings
from django.db import connection

from consumers import registry
from consumers.core.errors import ConsumerError
from consumers.kafka.producer import RecordProducer
from consumers.postgres.errors import describe


def missing_server(what: str) -> NoReturn:
    """As `missing`, of one of the local servers."""
    missing(f"{what}. Start the local servers with: manage.py devstack up")


def missing(hint: str) -> NoReturn:
    """What isn't there skips the test at home, and fails it where all must run."""
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(hint, pytrace=False)
    pytest.skip(hint)


@pytest.fixture(scope="session")
def _database_server(django_db_blocker: Any) -> None:
    try:
        with django_db_blocker.unblock(), connection._nodb_cursor() as cursor:
            cursor.execute("SELECT 1")
    except Exception as error:  # noqa: BLE001  (whatever it is, there is no database)
        missing_server(f"PostgreSQL does not answer: {describe(error)}")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(_database_server: None, django_db_modify_db_settings: None) -> None:
    """The first step of making the test database; it needs a server."""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """The test database, with the table of the test-only domain."""
    from tests.orders import Order

    with django_db_blocker.unblock():
        if Order._meta.db_table not in connection.introspection.table_names():
            with connection.schema_editor() as editor:
                editor.create_model(Order)


@pytest.fixture(autouse=True)
def _no_collected_files(settings: Any) -> None:
    """Pages are served without collectstatic having run."""
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture
def committed(transactional_db: None) -> Iterator[None]:
    """A database in which transactions really commit; emptied afterwards, the test-only table too."""
    yield
    from tests.orders import Order

    Order.objects.all().delete()


@pytest.fixture
def advertiser(db: None) -> Any:
    from ads.models import Advertiser

    return Advertiser.objects.create(name="Acme")


@pytest.fixture
def campaign(advertiser: Any) -> Any:
    from ads.models import Campaign

    return Campaign.objects.create(advertiser=advertiser, name="Spring", bid="0.2500")


@pytest.fixture
def registered() -> Iterator[Callable[[type], type]]:
    """Registers a consumer under its own name until the test ends."""
    names: list[str] = []

    def add(consumer: type) -> type:
        names.append(consumer.name)
        return registry.register(consumer.name)(consumer)

    yield add
    for name in names:
        registry.unregister(name)


@pytest.fixture(scope="session")
def bootstrap_servers() -> str:
    """The address of a broker that answers."""
    servers = django_settings.KAFKA_BOOTSTRAP_SERVERS
    try:
        with RecordProducer(servers) as producer:
            producer.ensure_topic("tests-alive", partitions=1)
    except ConsumerError as error:
        missing_server(f"Kafka does not answer: {error}")
    return str(servers)


@pytest.fixture
def producer(bootstrap_servers: str) -> Iterator[RecordProducer]:
    with RecordProducer(bootstrap_servers) as producer:
        yield producer


@pytest.fixture
def make_topic(producer: RecordProducer) -> Callable[..., str]:
    """Makes topics with names that no other test has."""

    def make(partitions: int = 1, **config: str) -> str:
        name = f"test-{uuid.uuid4().hex[:12]}"
        producer.ensure_topic(name, partitions, {key.replace("_", "."): value for key, value in config.items()})
        return name

    return make


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from tests.sharing import Sharing

    return Sharing(config, log)
