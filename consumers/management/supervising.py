"""`consume --processes N`: the command becomes the supervisor of processes that run it."""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn

from consumers.core.errors import Misconfigured
from consumers.engine.supervisor import command_line
from consumers.management.member import command_of_member
from consumers.settings import EngineSettings
from consumers.telemetry.logs import JsonFormatter


def require_processes(max_records: int, *, is_own_process: bool) -> None:
    """Whether the command can be run by several processes.

    Raises:
        Misconfigured: it cannot.
    """
    if max_records:
        raise Misconfigured(
            "--max-records is counted by one process and cannot be shared out, since partitions differ: leave out "
            "--processes, or use --until-end"
        )
    if os.name != "posix":
        raise Misconfigured("--processes needs Linux or macOS: start the command several times instead")
    if not is_own_process:
        raise Misconfigured("--processes takes the place of the whole process: use it on the command line only")


def become_supervisor(processes: int, settings: EngineSettings, *, as_json: bool) -> NoReturn:
    """Supervise so many processes of this command.

    The supervisor is a fresh interpreter in the place of this one: the same process id, but without the patches,
    threads and clients that are loaded here, which a process that starts others is better off without.
    """
    metrics = settings.metrics_host, settings.metrics_port
    command = command_of_member(sys.orig_argv)
    log_json = any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers)
    supervisor = command_line(processes, as_json, command, metrics, log_json=log_json)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(supervisor[0], supervisor)  # noqa: S606  (our own interpreter, and no shell)
