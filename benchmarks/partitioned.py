"""Clicks into the table that `manage.py partition_clicks` makes, and the way back after each trial."""

from __future__ import annotations

from benchmarks.commands import Commands
from benchmarks.database import Database
from demo.generate import START


def convert(commands: Commands, database: Database) -> None:
    """Partition the table, unless it is already: what is in it stays in the first partition. As in production, the rows
    to come are all in the partition of one month, of more than ten."""
    _partition_clicks(commands, database, "--boundary", f"{START:%Y-%m}")


def undo(commands: Commands, database: Database) -> None:
    """Make it plain again, and empty, since the rows need not be kept."""
    database.empty()
    _partition_clicks(commands, database, "--undo")


def _partition_clicks(commands: Commands, database: Database, *arguments: str) -> None:
    commands.manage("partition_clicks", *arguments, environment={"DATABASE_URL": database.url})
