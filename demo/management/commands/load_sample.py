"""`manage.py load_sample`: the advertisers and campaigns that the sample's events speak of."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.color import no_style
from django.db import connection, transaction

from ads.models import Advertiser, Campaign
from consumers.management.examples import ExampleCommand
from demo.samples import seed


class Command(ExampleCommand):
    help = (
        "Loads the sample's advertisers and campaigns; those already there stay as they are. A few are left out, so "
        "that there is something to mend: bring them in with --complete, then run reprocess_failures."
    )
    examples = (
        ("load_sample", "before the sample's events are consumed"),
        ("load_sample --complete", "those too that were left out, so that failures can be mended"),
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--complete", action="store_true", help="also those that are left out at first")

    def handle(self, *, complete: bool, **options: Any) -> None:
        with transaction.atomic():
            advertisers = self._load(Advertiser, "advertisers", complete=complete)
            campaigns = self._load(Campaign, "campaigns", complete=complete)
            _continue_ids()
        self.stdout.write(f"Loaded {advertisers} advertisers and {campaigns} campaigns that were not there yet")

    def _load(self, model: type[Advertiser | Campaign], name: str, *, complete: bool) -> int:
        before = model.objects.count()
        entries = [{**entry} for entry in seed(name) if complete or not entry.get("late")]
        rows = [model(**{field: value for field, value in entry.items() if field != "late"}) for entry in entries]
        model.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)  # type: ignore[arg-type]
        return model.objects.count() - before


def _continue_ids() -> None:
    """The ids were given, so the sequences must be told where to go on."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), [Advertiser, Campaign]):
            cursor.execute(statement)
