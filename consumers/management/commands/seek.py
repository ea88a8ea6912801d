"""manage.py seek: move a group to another position."""

from __future__ import annotations

import getpass
from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from consumers import positions
from consumers.core.errors import ConsumerError, Misconfigured
from consumers.core.records import TopicPartition
from consumers.engine.process import check_database
from consumers.kafka.groups import BrokerView
from consumers.ledger import Ledger
from consumers.management.arguments import moment, whole
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
        try:
            self._seek(options)
        except Misconfigured as error:
            raise CommandError(str(error), returncode=2) from error
        except ConsumerError as error:
            raise CommandError(str(error), returncode=1) from error

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


def _targets(broker: BrokerView, options: dict[str, Any]) -> Iterable[tuple[TopicPartition, int]]:
    """The offsets asked for, each within what its partition holds."""
    sources = broker.partitions(options["topic"])
    chosen = options["partition"] or [source.partition for source in sources]
    unknown = sorted(set(chosen) - {source.partition for source in sources})
    if unknown:
        raise Misconfigured(f"topic {options['topic']} has no partition {', '.join(map(str, unknown))}")
    for source in sources:
        if source.partition in chosen:
            yield source, _target(broker, source, options)


def _target(broker: BrokerView, source: TopicPartition, options: dict[str, Any]) -> int:
    low, high = broker.watermarks(source)
    if options["to_beginning"]:
        return low
    if options["to_end"]:
        return high
    if options["to_time"] is not None:
        return broker.offset_at(source, round(options["to_time"].timestamp() * 1000))
    offset: int = options["to_offset"]
    if not low <= offset <= high:
        raise Misconfigured(f"{source} holds offsets {low} to {high}; {offset} is not among them")
    return offset
