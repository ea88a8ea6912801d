"""`manage.py demo`: the whole path from Kafka to the admin, with the sample's events."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import OperationalError

from consumers.management.examples import ExampleCommand
from demo.interrupts import one_interrupt_only
from demo.local_stack import addresses_given, running_stack
from demo.serving import HOST, free_port, serve
from demo.story import Story
from devstack.addresses import state_folder
from devstack.errors import DevstackError

MANAGE = settings.BASE_DIR / "manage.py"


class Command(ExampleCommand):
    help = (
        "Starts the local servers unless DATABASE_URL and KAFKA_BOOTSTRAP_SERVERS are set, migrates, sends the sample, "
        "consumes it, says what happened, and serves the admin until Ctrl-C."
    )
    examples = (
        ("demo", "everything, then the admin until Ctrl-C"),
        ("demo --no-serve", "end after the summary"),
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-serve", action="store_true", help="end after the summary")

    def handle(self, *, no_serve: bool, **options: Any) -> None:
        one_interrupt_only()
        try:
            if addresses_given():
                self._tell(no_serve=no_serve)
            else:
                self._tell_with_stack(no_serve=no_serve)
        except KeyboardInterrupt:
            self.stdout.write("\nStopped.")
        except DevstackError as error:
            raise CommandError(str(error)) from error

    def _tell(self, *, no_serve: bool) -> None:
        state_dir = state_folder(settings.BASE_DIR)
        state_dir.mkdir(parents=True, exist_ok=True)
        story = Story(self.stdout, state_dir, MANAGE)
        try:
            story.run()
            account = story.admin_account()
        except OperationalError as error:
            raise CommandError(f"the database cannot be reached: {str(error).strip()}") from error
        if no_serve:
            return
        port = free_port()
        self.stdout.write(f"\nThe admin: http://{HOST}:{port}/admin/  {account}\nCtrl-C ends it.\n")
        self.stdout.flush()
        serve(port)

    def _tell_with_stack(self, *, no_serve: bool) -> None:
        """Settings were read before the servers had addresses, so the rest is told by a process that starts now."""
        with running_stack(state_folder(settings.BASE_DIR), self._report) as addresses:
            command = [sys.executable, str(MANAGE), "demo", *(["--no-serve"] if no_serve else [])]
            process = subprocess.Popen(command, env=os.environ | addresses)  # noqa: S603 - ourselves
            try:
                code = process.wait()
            except KeyboardInterrupt:
                process.send_signal(signal.SIGINT)  # a terminal told it already, whoever sent us a signal did not
                code = process.wait()
        if code:
            sys.exit(code)

    def _report(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
