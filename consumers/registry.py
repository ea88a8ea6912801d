"""Consumers by name. `consumers.py` modules of installed apps are imported when Django starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from consumers.consumer import BatchConsumer
from consumers.core.errors import Misconfigured

C = TypeVar("C", bound=type[BatchConsumer[Any, Any]])

_consumers: dict[str, type[BatchConsumer[Any, Any]]] = {}


def register(name: str) -> Callable[[C], C]:
    """Class decorator: makes a consumer known as `name`, for `manage.py consume name`.

    Raises:
        Misconfigured: the name is taken by another class.
    """

    def decorate(cls: C) -> C:
        known = _consumers.get(name)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise Misconfigured(f"two consumers are registered as {name!r}: {known.__qualname__}, {cls.__qualname__}")
        cls.name = name
        _consumers[name] = cls
        return cls

    return decorate


def get(name: str) -> type[BatchConsumer[Any, Any]]:
    """The consumer registered as `name`.

    Raises:
        Misconfigured: there is none; the message lists those there are.
    """
    try:
        return _consumers[name]
    except KeyError:
        known = ", ".join(sorted(_consumers)) or "none at all"
        raise Misconfigured(f"no consumer is registered as {name!r}; registered: {known}") from None


def names() -> list[str]:
    return sorted(_consumers)


def all_consumers() -> list[type[BatchConsumer[Any, Any]]]:
    return [_consumers[name] for name in names()]


def unregister(name: str) -> None:
    """Forget a consumer; for tests that register one of their own."""
    _consumers.pop(name, None)
