"""The environment and `.env`, read so that a value that makes no sense is named in one line."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

DATABASE_SCHEMES = ("postgres", "postgresql", "pgsql", "psql")


class Environment(environ.Env):  # type: ignore[misc]
    """django-environ's reader, whose errors name the variable. They never show a whole value: it may hold a secret."""

    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        """As the parent's.

        Raises:
            ImproperlyConfigured: the variable is missing and has no default, or its value cannot be read.
        """
        try:
            return super().get_value(var, *args, **kwargs)
        except ValueError as error:
            raise ImproperlyConfigured(f"{var} (from the environment or .env) cannot be read: {error}") from error

    def properties(self, var: str) -> dict[str, Any]:
        """A JSON object; empty where the variable is not set.

        Raises:
            ImproperlyConfigured: it is something else.
        """
        value = self.json(var, default={})
        if not isinstance(value, dict):
            raise ImproperlyConfigured(f'{var} (from the environment or .env) must be a JSON object, as {{"name": 1}}')
        return value

    def postgres(self, var: str, default: str) -> dict[str, Any]:
        """A PostgreSQL database from its URL, for DATABASES; an empty variable counts as not set.

        Raises:
            ImproperlyConfigured: it is not such a URL.
        """
        url = self.str(var, default="") or default
        try:
            parts = urlsplit(url)
            parts.port  # noqa: B018  (raises for a port that is no number)
        except ValueError as error:
            raise ImproperlyConfigured(f"{var} (from the environment or .env) cannot be read: {error}") from error
        if parts.scheme not in DATABASE_SCHEMES or not parts.path.strip("/"):
            raise ImproperlyConfigured(
                f"{var} (from the environment or .env) must be postgres://user:password@host/name"
            )
        config: dict[str, Any] = self.db_url_config(url)
        return config
