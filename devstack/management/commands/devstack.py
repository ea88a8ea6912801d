"""`manage.py devstack up|down|status`: the local PostgreSQL and Kafka."""

import json
import re
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from consumers.management.examples import ExampleCommand
from devstack import stack
from devstack.addresses import state_folder
from devstack.errors import DevstackError


class Command(ExampleCommand):
    help = "Starts, stops or shows the local PostgreSQL and Kafka. Their data are kept between runs."
    examples = (
        ("devstack up", "start PostgreSQL and Kafka on this machine"),
        ("devstack status", "what runs, and where"),
        ("devstack down --only kafka", "stop one of them"),
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="up|down|status")
        for name, text in (("up", "start what is not running yet"), ("down", "stop what `up` started")):
            action = actions.add_parser(name, help=text)
            action.add_argument("--only", choices=sorted(stack.SERVERS), help="one server instead of both")
        shown = actions.add_parser("status", help="say what is running, and where")
        shown.add_argument("--json", action="store_true", help="one JSON object, with the database's password")

    def handle(self, *, action: str, **options: Any) -> None:
        try:
            getattr(self, f"_{action}")(options)
        except DevstackError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError(
                "Interrupted. The next `devstack up` or `down` goes on from here.", returncode=130
            ) from None

    def _up(self, options: dict[str, Any]) -> None:
        stack.up(state_folder(settings.BASE_DIR), self._report, options["only"])

    def _down(self, options: dict[str, Any]) -> None:
        stack.down(state_folder(settings.BASE_DIR), self._report, options["only"])

    def _status(self, options: dict[str, Any]) -> None:
        state_dir = state_folder(settings.BASE_DIR)
        servers = stack.status(state_dir)
        if options["json"]:
            addresses = asdict(stack.current_addresses(state_dir))
            details = {each.name: asdict(each) | {"running": each.pid is not None} for each in servers}
            self._report(json.dumps(addresses | {"state_dir": str(state_dir)} | details, indent=2))
            return
        for each in servers:
            self._report(_line(each))

    def _report(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _line(server: stack.ServerStatus) -> str:
    address = re.sub(r":[^:@/]*@", ":***@", server.url)
    if not server.embedded:
        return f"{server.name}: {address} (from the environment)"
    state = f"running (pid {server.pid})" if server.pid else "not running"
    return f"{server.name}: {state}, {address}, log {server.log}"
