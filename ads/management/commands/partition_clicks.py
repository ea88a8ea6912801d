"""manage.py partition_clicks: the table of clicks by months, made so once and tended afterwards."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError, IntegrityError, connections, router
from django.utils import timezone

from ads.models import Click
from ads.partitioning import convert, undo, upkeep
from ads.partitioning.catalog import DEFAULT, TABLE, Catalogue
from ads.partitioning.months import Month
from ads.partitioning.steps import CannotPartition, Done, LockedOut, Step, run
from consumers.management.arguments import positive, seconds
from consumers.management.examples import ExampleCommand

_FIRST_BOUNDARY = 2
"""Months from now: the first partition ends where the month after next begins."""


def month(text: str) -> Month:
    """A month such as 2027-01, as an argument."""
    try:
        return Month.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a month such as 2027-01, not {text!r}") from None


class Command(ExampleCommand):
    help = (
        f"Partition {TABLE} by months. The first run converts the table, while consumers go on; later ones make the "
        "partitions of the months to come: run it daily. An interrupted run is gone on with by the next one."
    )
    examples = (
        ("partition_clicks --dry-run", "shows the SQL, and changes nothing"),
        ("partition_clicks", "converts the table, or makes the partitions of the months to come"),
        ("partition_clicks --drop-before 2026-01", "asks, and drops the partitions of 2025 and earlier"),
        ("partition_clicks --undo", "a plain table again; nobody reads or writes clicks meanwhile"),
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--boundary",
            type=month,
            metavar="YYYY-MM",
            help="of the conversion: where the first partition, which keeps all rows there are, ends (default: the "
            "first day of the month after next)",
        )
        parser.add_argument(
            "--months-ahead",
            type=positive,
            default=3,
            metavar="N",
            help="how many months after the current one have partitions (default: 3)",
        )
        parser.add_argument(
            "--drop-before", type=month, metavar="YYYY-MM", help="drop the partitions that end before this month begins"
        )
        parser.add_argument("--yes", action="store_true", help="do not ask before dropping")
        parser.add_argument("--undo", action="store_true", help="go back to one plain table, or give up a conversion")
        parser.add_argument("--dry-run", action="store_true", help="print the SQL that would run, and run nothing")
        parser.add_argument(
            "--lock-timeout",
            type=seconds,
            default=5.0,
            metavar="SECONDS",
            help="how long to wait for the table; whoever uses it afterwards waits as well (default: 5)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        using = router.db_for_write(Click)
        if connections[using].vendor != "postgresql":
            raise CommandError(f"the database {using!r} is not PostgreSQL: it has no such partitions", returncode=2)
        if options["undo"] and (options["drop_before"] or options["boundary"]):
            raise CommandError("--undo goes with neither --boundary nor --drop-before", returncode=2)
        self._catalogue, self._options, self._now = Catalogue(using), options, Month.of(timezone.now())
        try:
            self._do()
        except KeyboardInterrupt:
            raise CommandError("interrupted: the next run goes on from here", returncode=130) from None
        except LockedOut as error:
            raise CommandError(f"{error}: that step changed nothing, run it again", returncode=1) from error
        except CannotPartition as error:
            raise CommandError(str(error), returncode=1) from error
        except DatabaseError as error:
            raise CommandError(str(error).split("\n", 1)[0], returncode=1) from error

    def _do(self) -> None:
        boundary = self._options["boundary"]
        if self._options["undo"]:
            self._undo()
        elif not self._catalogue.is_partitioned():
            if self._options["drop_before"]:
                raise CannotPartition(f"{TABLE} is not partitioned yet: run it without --drop-before first")
            self._convert(boundary or self._now.plus(_FIRST_BOUNDARY))
        else:
            first = self._catalogue.first_partition()
            if boundary and not (first and first.upper == boundary.start):
                raise CannotPartition(f"{TABLE} is partitioned already: leave out --boundary, it is for the first run")
            self._tend()

    def _convert(self, boundary: Month) -> None:
        try:
            locked = self._run(convert.steps(self._catalogue, boundary, self._last_month()))
        except LockedOut as error:
            raise CannotPartition(
                f"{error}: {TABLE} is still the plain table. Run it again, and soon: clicks at or after {boundary} may "
                f"be refused until then (--undo gives it up)"
            ) from error
        except IntegrityError:  # a row came in behind the count, before the CHECK
            self._run(convert.unbound(self._catalogue.facts()))
            convert.refuse_beyond(self._catalogue, boundary)
            raise
        if not self._options["dry_run"]:
            last = max(boundary.plus(-1), self._last_month())
            self.stdout.write(
                f"{TABLE} is partitioned by months: all rows are in {convert.first_partition(boundary)}, and there is "
                f"a partition for each month up to {last}. It was locked for {locked * 1000:,.0f} ms."
            )

    def _tend(self) -> None:
        made = [self._make(making) for making in upkeep.to_make(self._catalogue, self._now, self._last_month())]
        if not made:
            self.stdout.write(f"{TABLE} has a partition for each month up to {self._last_month()}")
        if self._options["drop_before"]:
            self._drop(upkeep.to_drop(self._catalogue, self._options["drop_before"], self._now))
        self._attempt(upkeep.statistics())
        if (strays := upkeep.strays(self._catalogue)).rows:
            self.stdout.write(
                f"{DEFAULT} holds {strays.rows:,} rows that no month's partition is for, from {strays.first} to "
                f"{strays.last}"
            )

    def _make(self, making: upkeep.Making) -> Done | None:
        done = self._attempt(making.step)
        if done is not None:
            moved = f", with {done.rows:,} rows out of {DEFAULT}" if done.rows else ""
            self.stdout.write(f"Made {making.name}{moved}")
        return done

    def _drop(self, droppings: Sequence[upkeep.Dropping]) -> None:
        if not droppings:
            self.stdout.write(f"No partition of {TABLE} ends before {self._options['drop_before']}: nothing to drop")
            return
        listed = ", ".join(f"{each.name} ({each.rows:,} rows)" for each in droppings)
        if not (self._options["dry_run"] or self._options["yes"]):
            self._confirm(listed)
        for each in droppings:
            if self._attempt(each.step) is not None:
                self.stdout.write(f"Dropped {each.name} with {each.rows:,} rows")

    def _confirm(self, listed: str) -> None:
        if not sys.stdin.isatty():
            raise CannotPartition(f"nobody is there to be asked about dropping {listed}: add --yes")
        if input(f"Drop {listed}? There is no way back. [y/N] ").strip().lower() not in ("y", "yes"):
            raise CannotPartition("nothing was dropped")

    def _undo(self) -> None:
        steps = undo.steps(self._catalogue)
        self._run(steps)
        if not self._options["dry_run"]:
            self.stdout.write(f"{TABLE} is a plain table" if steps else f"{TABLE} is a plain table: nothing to undo")

    def _last_month(self) -> Month:
        return self._now.plus(self._options["months_ahead"])

    def _run(self, steps: Sequence[Step]) -> float:
        """Run the steps, or show them; returns how long the last one that locked anything held its locks."""
        locked = 0.0
        for step in steps:
            if not self._options["dry_run"]:
                self.stdout.write(f"{step.title} ..")
            done = self._attempt(step)
            locked = done.locked if done is not None and step.locks else locked
        return locked

    def _attempt(self, step: Step) -> Done | None:
        """Run one step; None if it was only shown."""
        if self._options["dry_run"]:
            self.stdout.write(step.as_sql(self._options["lock_timeout"]))
            return None
        return run(step, self._catalogue.using, self._options["lock_timeout"])
