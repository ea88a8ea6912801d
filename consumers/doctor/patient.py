"""What the doctor looks at: the settings, the consumers, and a connection to each server."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.conf import settings as django_settings
from django.db import connections

from consumers.consumer import BatchConsumer
from consumers.core.errors import ConsumerError, Misconfigured
from consumers.kafka.cluster import Cluster
from consumers.postgres.errors import describe
from consumers.postgres.probe import probe
from consumers.settings import EngineSettings

Consumer = type[BatchConsumer[Any, Any]]


@dataclass
class Patient:
    """One installation, as the settings tell of it. Connections are made when first asked for."""

    settings: EngineSettings
    consumers: Sequence[Consumer]
    group: str = ""
    """The consumer group, where it is not the consumer's name."""

    @cached_property
    def database_fault(self) -> str:
        """Why the database does not answer; empty if it does."""
        try:
            probe(self.settings.database)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is what there is to say)
            return describe(error)
        return ""

    @cached_property
    def broker_fault(self) -> str:
        """Why no broker answers; empty if one does."""
        try:
            self.cluster.brokers()
        except ConsumerError as error:
            return str(error)
        return ""

    @cached_property
    def cluster(self) -> Cluster:
        return Cluster(self.settings)

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with connections[self.settings.database].cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

    def group_of(self, consumer: Consumer) -> str:
        return self.group or consumer.name

    def topics_of(self, consumer: Consumer) -> list[str]:
        """Under their names on the broker."""
        return self.settings.real_topics(consumer.topics)

    @property
    def topics(self) -> list[str]:
        return sorted({topic for consumer in self.consumers for topic in self.topics_of(consumer)})

    def close(self) -> None:
        with suppress(Exception):
            connections[self.settings.database].close()

    def secrets(self) -> list[str]:
        """Values that no finding may hold, wherever its text came from. A password that is also the name of the user,
        as on many a developer's machine, is none."""
        found = [str(value) for name, value in self.settings.properties.items() if _is_secret(name)]
        found += [str(django_settings.SECRET_KEY), str(django_settings.EMAIL_HOST_PASSWORD)]
        with suppress(Misconfigured):
            policy = self.settings.alert_policy()
            found += [policy.webhook, policy.webhook_secret]
        for each in django_settings.DATABASES.values():
            told = (each.get("USER"), each.get("NAME"), each.get("HOST"))
            found += [str(each["PASSWORD"])] if each.get("PASSWORD") not in ("", None, *told) else []
        return [value for value in found if value]


def _is_secret(name: str) -> bool:
    return any(word in name for word in ("password", "secret", "key.pem", "jaas", "token", "oauthbearer.config"))
