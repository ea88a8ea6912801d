"""`manage.py consume clicks`, under a name of its own."""

from typing import ClassVar

from consumers.management.commands.consume import Command as ConsumeCommand


class Command(ConsumeCommand):
    help = "Consume clicks from Kafka into the database."
    consumers: ClassVar = ["clicks"]
    examples = (
        ("consume_clicks", "until Ctrl-C; the same as consume clicks"),
        ("consume_clicks --until-end --json", "what is there now; the counts on stdout"),
    )
