"""manage.py reprocess_failures: process pending failed records again, once or whenever they are due."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from consumers.core.printable import printable
from consumers.engine.process import check_database
from consumers.management.arguments import moment, positive, seconds
from consumers.management.errors import errors_told
from consumers.management.examples import ExampleCommand
from consumers.reprocess import Result, Selection, reprocess
from consumers.settings import engine_settings
from consumers.watch import Watch

BY = "reprocess_failures"


class Command(ExampleCommand):
    help = (
        "Run pending failed records through their consumers again; those that go well become rows and are marked "
        "resolved."
    )
    examples = (
        ("reprocess_failures --reason unknown_campaign --dry-run", "run them, roll back, and say what would happen"),
        ("reprocess_failures --topic ads.clicks --since 2026-11-24 --limit 1000", "a part of them"),
        ("reprocess_failures --watch", "go on for ever: whatever is due again by itself"),
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--topic")
        parser.add_argument("--reason", help="such as unknown_campaign")
        parser.add_argument("--fingerprint", help="only failures that are alike")
        parser.add_argument("--id", type=positive, action="append", help="one failed record; may be repeated")
        parser.add_argument("--since", type=moment, metavar="TIME", help="last failed at TIME (ISO 8601) or later")
        parser.add_argument("--until", type=moment, metavar="TIME", help="last failed before TIME (ISO 8601)")
        parser.add_argument("--limit", type=positive, metavar="N", help="attempt at most N records")
        parser.add_argument("--dry-run", action="store_true", help="run them, roll back, and say what would happen")
        parser.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
        parser.add_argument(
            "--watch",
            action="store_true",
            help="go on until stopped: process records that are due again by themselves, because their time has come, "
            "the row they wait for is there, or what held them back is resolved; and work on the retry runs that were "
            "started in the admin",
        )
        parser.add_argument(
            "--interval", type=seconds, default=5.0, metavar="SECONDS", help="between two looks of --watch (default: 5)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        selection = Selection(
            ids=tuple(options["id"]) if options["id"] else None,
            **{name: options[name] for name in ("topic", "reason", "fingerprint", "since", "until", "limit")},
        )
        if options["watch"] and options["dry_run"]:
            raise CommandError("--watch and --dry-run exclude each other: leave one out", returncode=2)
        with errors_told():
            check_database(engine_settings().database)
            result = self._run(selection, options)
        self.stdout.write(_as_json(result) if options["json"] else _as_text(result, options["dry_run"]))

    def _run(self, selection: Selection, options: dict[str, Any]) -> Result:
        if options["watch"]:
            return Watch(selection, by=f"{BY} --watch", interval=options["interval"]).run()
        return reprocess(selection, by=BY, dry_run=options["dry_run"])


def _as_json(result: Result) -> str:
    return json.dumps({"attempted": result.attempted, "resolved": result.resolved, "failed": result.failed})


def _as_text(result: Result, dry_run: bool) -> str:
    again = ", ".join(f"{count} {printable(reason)}" for reason, count in sorted(result.by_reason.items()))
    prefix = "Dry run, nothing was changed: " if dry_run else ""
    text = f"{prefix}{result.attempted} attempted, {result.resolved} resolved, {result.failed} failed again"
    return f"{text} ({again})" if again else text
