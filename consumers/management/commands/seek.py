"""manage.py seek: move a group to another position."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from consumers import positions
from consumers.core.errors import Misconfigured
from consumers.core.records import TopicPartition
from consumers.engine.process import check_database
from consumers.kafka.groups import BrokerView
from consumers.kafka.targets import chosen, target
from consumers.ledger import Ledger
from consumers.management.arguments import moment, whole
from consumers.management.errors import errors_told
from consumers.management.examples import ExampleCommand
from consumers.settings import engine_settings


class Command(ExampleCommand):
    help = (
        "Move a group's position in a topic, to replay or to skip. The ledger is written, so the move holds whatever "
        "offsets the broker remembers."
    )
    examples = (
        ("seek --group clicks --topic ads.clicks --to-beginning --dry-run", "what would be read again"),
        ("seek --group clicks --topic ads.clicks --to-time 2026-11-24T20:00", "replay from a time on"),
        ("seek --group clicks --topic ads.clicks --partition 3 --to-offset 4711", "one partition"),
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--group", required=True, help="the consumer group; by default a consumer's name")
        parser.add_argument("--topic", required=True)
        parser.add_argument("--partition", type=whole, action="append", help="only this one; may be repeated")
        where = parser.add_mutually_exclusive_group(required=True)
        where.add_argument("--to-beginning", action="store_true")
        where.add_argument("--to-end", action="store_true")
        where.add_argument("--to-offset", type=whole, metavar="OFFSET")
        where.add_argument(
            "--to-time", type=moment, metavar="TIME", help="the first record as young as TIME (ISO 8601)"
        )
        parser.add_argument("--dry-run", action="store_true", help="show what would be read again or skipped")
        parser.add_argument("--force", action="store_true", help="even while members of the group are live")

    def handle(self, *args: Any, **options: Any) -> None:
        with errors_told():
            self._seek(options)

    def _seek(self, options: dict[str, Any]) -> None:
        settings = engine_settings()
        check_database(settings.database)
        ledger = Ledger(options["group"], settings.database)
        with BrokerView(settings, ledger.group) as broker:
            moves = positions.plan(ledger, _targets(broker, options))
            self.stdout.write("\n".join(map(str, moves)))
            if options["dry_run"]:
                self.stdout.write("Dry run: nothing was moved.")
                return
            members = broker.members()
        if members and not options["force"]:
            raise Misconfigured(
                f"group {ledger.group} has live members ({', '.join(members)}). Stop them first, or use --force: they "
                "are then fenced and go on from the new position within seconds."
            )
        positions.apply(ledger, moves, by=getpass.getuser())
        self.stdout.write(f"Moved {len(moves)} partitions of group {ledger.group}.")


def _targets(broker: BrokerView, options: dict[str, Any]) -> Iterator[tuple[TopicPartition, int]]:
    """The offsets asked for, each within what its partition holds."""
    where = "beginning" if options["to_beginning"] else "end" if options["to_end"] else "time"
    if options["to_offset"] is not None:
        where = "offset"
    for source in chosen(broker, options["topic"], options["partition"] or []):
        yield source, target(broker, source, where, options["to_offset"], options["to_time"])
