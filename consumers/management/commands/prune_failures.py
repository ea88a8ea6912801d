"""manage.py prune_failures: delete failed records that were resolved or discarded long ago."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from consumers.core.errors import Misconfigured
from consumers.engine.process import check_database
from consumers.inbox.retention import Pruned, Retention, prune
from consumers.management.arguments import positive
from consumers.management.errors import errors_told
from consumers.settings import EngineSettings, engine_settings


class Command(BaseCommand):
    help = (
        "Delete failed records that were resolved or discarded longer ago than settings.CONSUMERS say "
        "(keep_resolved_days, keep_discarded_days), failure groups of which nothing is left, and old alerts. Pending "
        "records are never deleted. Meant to be run once a day. Example: manage.py prune_failures --dry-run"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="delete nothing, and say what would be deleted")
        parser.add_argument(
            "--older-than", type=positive, metavar="DAYS", help="instead of the two numbers of days in the settings"
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON on stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        with errors_told():
            settings = engine_settings()
            _check(settings)
            check_database(settings.database)
            retention = Retention.of(settings, options["older_than"])
            result = prune(retention, settings.database, dry_run=options["dry_run"])
        self.stdout.write(json.dumps(result.as_dict()) if options["json"] else _as_text(result, options["dry_run"]))


def _check(settings: EngineSettings) -> None:
    for name in ("keep_resolved_days", "keep_discarded_days", "keep_groups_days"):
        days = getattr(settings, name)
        if not isinstance(days, int) or not 0 <= days <= 36_500:
            raise Misconfigured(f"settings.CONSUMERS: {name} must be a whole number of days, 0 for ever, not {days!r}")


def _as_text(result: Pruned, dry_run: bool) -> str:
    said = (
        f"{result.resolved:,} resolved and {result.discarded:,} discarded failed records, "
        f"{result.groups:,} failure groups, {result.alerts:,} alerts"
    )
    return f"Dry run, nothing was deleted: {said} would be" if dry_run else f"Deleted {said}"
