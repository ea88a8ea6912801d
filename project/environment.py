"""The environment and `.env`, read so that a value that makes no sense is named in one line."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

ON = ("on", "yes", "y", "true", "ok", "1")
OFF = ("off", "no", "n", "false", "0")

DATABASE_SCHEMES = ("postgres", "postgresql", "pgsql", "psql")
DATABASE_URL_LOOKS = (
    "postgres://user:password@host:port/name; in the password write % as %25, / as %2F, # as %23, ? as %3F, @ as %40"
)


class Environment(environ.Env):  # type: ignore[misc]
    """django-environ's reader, whose errors name the variable. They never show a whole value: it may hold a secret."""

    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        """As the parent's, but a value that begins with a dollar sign is that value and names no other variable: a
        secret may begin so, and would be lost without a word.

        Raises:
            ImproperlyConfigured: the variable is missing and has no default, or its value cannot be read.
        """
        given = self.ENVIRON.get(var, "")
        try:
            if given.startswith("$"):
                return self.parse_value(given, kwargs.get("cast"))
            return super().get_value(var, *args, **kwargs)
        except ValueError as error:
            raise ImproperlyConfigured(f"{var} (from the environment or .env) cannot be read: {error}") from error

    def switch(self, var: str, *, default: bool) -> bool:
        """On or off, in any of the usual words; an empty variable counts as not set.

        Raises:
            ImproperlyConfigured: it is something else.
        """
        value = self.str(var, default="")
        word = value.strip().lower()
        if word and word not in ON + OFF:
            raise ImproperlyConfigured(f"{var} (from the environment or .env) must be on or off, not {value!r}")
        return word in ON if word else default

    def one_of(self, var: str, *choices: str) -> str:
        """One of the choices, in any case; the first where the variable is not set. An empty one stands for that.

        Raises:
            ImproperlyConfigured: it is something else.
        """
        value = self.str(var, default="") or choices[0]
        for choice in choices:
            if choice.lower() == value.lower():
                return choice
        known = [choice for choice in choices if choice]
        raise ImproperlyConfigured(f"{var} (from the environment or .env) must be {' or '.join(known)}, not {value!r}")

    def properties(self, var: str) -> dict[str, Any]:
        """A JSON object; empty where the variable is not set.

        Raises:
            ImproperlyConfigured: it is something else.
        """
        value = self.json(var, default={})
        if not isinstance(value, dict):
            raise ImproperlyConfigured(f'{var} (from the environment or .env) must be a JSON object, as {{"name": 1}}')
        return value

    def mail_server(self, var: str, default: str) -> dict[str, Any]:
        """Django's EMAIL_ settings from the URL of a mail server; an empty variable counts as not set.

        Raises:
            ImproperlyConfigured: it is not such a URL.
        """
        url = self.str(var, default="") or default
        try:
            config: dict[str, Any] = self.email_url_config(url)
        except (ImproperlyConfigured, ValueError) as error:
            raise ImproperlyConfigured(
                f"{var} (from the environment or .env) must be smtp://user:password@host:port, or smtp+tls:// so"
            ) from error
        return {name: value for name, value in config.items() if name.startswith("EMAIL_") and value is not None}

    def postgres(self, var: str, default: str) -> dict[str, Any]:
        """A PostgreSQL database from its URL, for DATABASES; an empty variable counts as not set.

        Raises:
            ImproperlyConfigured: it is not such a URL.
        """
        url = self.str(var, default="") or default
        if not _is_database(url):
            raise ImproperlyConfigured(f"{var} (from the environment or .env) must be {DATABASE_URL_LOOKS}")
        config: dict[str, Any] = self.db_url_config(url)
        return config


def _is_database(url: str) -> bool:
    """Whether it can be read as one. What is wrong with it is not said: the parts may be those of a password."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  (raises for a port that is no number)
    except ValueError:
        return False
    return parts.scheme in DATABASE_SCHEMES and bool(parts.path.strip("/"))
