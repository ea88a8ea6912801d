"""Serving the admin on loopback until Ctrl-C."""

from __future__ import annotations

import socket

from django.conf import settings
from django.core.management import call_command

HOST = "127.0.0.1"
PREFERRED_PORT = 8000


def free_port(preferred: int = PREFERRED_PORT) -> int:
    """The preferred port if nothing listens there, else any that is free."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does; not one just closed
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError(f"no port of {HOST} is free")


def serve(port: int) -> None:
    """Serve the project until a KeyboardInterrupt. For one person on this machine: it is no production server."""
    if HOST not in settings.ALLOWED_HOSTS:
        settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, HOST]
    # Whitenoise serves the static files, as in production; runserver's own handler would refuse with DEBUG off.
    call_command("runserver", f"{HOST}:{port}", use_reloader=False, use_static_handler=False, skip_checks=True)
