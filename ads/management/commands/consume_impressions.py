"""`manage.py consume impressions`, under a name of its own."""

from typing import ClassVar

from consumers.management.commands.consume import Command as ConsumeCommand


class Command(ConsumeCommand):
    help = "Consume impressions from Kafka into the database."
    consumers: ClassVar = ["impressions"]
    examples = (
        ("consume_impressions", "until Ctrl-C; the same as consume impressions"),
        ("consume_impressions --until-end --json", "what is there now; the counts on stdout"),
    )
