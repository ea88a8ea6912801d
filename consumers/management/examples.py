"""`--help` with examples: what a command is for is seen soonest from how it is typed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandParser, DjangoHelpFormatter

_TITLE = "examples:"


class ExampleCommand(BaseCommand):
    """A command whose `--help` ends with examples."""

    examples: ClassVar[Sequence[tuple[str, str]]] = ()
    """(what is typed behind manage.py, what it does)."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        lines = [line for typed, does in self.examples for line in (f"  manage.py {typed}", f"      {does}")]
        epilog = "\n".join([_TITLE, *lines]) if lines else None
        return super().create_parser(prog_name, subcommand, epilog=epilog, formatter_class=_Formatter, **kwargs)


class _Formatter(DjangoHelpFormatter):
    """Leaves the lines of examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith(_TITLE) else super()._fill_text(text, width, indent)
