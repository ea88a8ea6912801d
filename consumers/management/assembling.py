"""A consuming process, put together as the command line of `consume` asks for it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from consumers import registry
from consumers.concurrency import is_patched
from consumers.consumer import BatchConsumer
from consumers.core.source import RecordSource
from consumers.engine.process import ConsumerProcess
from consumers.engine.runner import AroundStorage, RunOptions
from consumers.kafka.config import consumer_properties
from consumers.kafka.source import KafkaSource
from consumers.settings import EngineSettings

logger = logging.getLogger("consumers")


def with_options(settings: EngineSettings, options: dict[str, Any]) -> EngineSettings:
    """What the command line says goes before the settings."""
    given = {name: options[name] for name in ("metrics_port", "metrics_host") if options[name]}
    return replace(settings, **given)


def of_member(settings: EngineSettings, member: int) -> EngineSettings:
    """A static member's name and a port are for one process alone: those of a supervisor get ones made from them.
    `member` is their number, 0 for a process of its own."""
    if member and settings.metrics_port:
        settings = replace(settings, metrics_port=settings.metrics_port + member, metrics_host="127.0.0.1")
    name = settings.properties.get("group.instance.id")
    if not member or not name:
        return settings
    return replace(settings, properties={**settings.properties, "group.instance.id": f"{name}-{member}"})


def process_of(
    names: Sequence[str], settings: EngineSettings, options: dict[str, Any], around_storage: AroundStorage | None
) -> ConsumerProcess:
    """The consumers of these names, each about to join its group.

    Raises:
        Misconfigured: there is no such consumer, or settings, database or broker do not allow it.
    """
    if not is_patched():
        logger.warning("blocking calls are not cooperative: call patch_for_command() first in manage.py, see the docs")

    def source(consumer: BatchConsumer[Any, Any], group: str) -> RecordSource:
        topics = settings.real_topics(consumer.topics)
        return KafkaSource(topics, consumer_properties(settings, group), settings.revoke_timeout)

    told = ("group", "until_end", "max_records", "chunk_size", "concurrency")
    run_options = RunOptions(**{name: options[name] for name in told}, around_storage=around_storage)
    return ConsumerProcess([registry.get(name) for name in names], settings, run_options, source)
