"""`manage.py consume payments`, under a name of its own."""

from typing import ClassVar

from consumers.management.commands.consume import Command as ConsumeCommand


class Command(ConsumeCommand):
    help = "Consume payments from Kafka into the database."
    consumers: ClassVar = ["payments"]
    examples = (
        ("consume_payments", "until Ctrl-C; the same as consume payments"),
        ("consume_payments --until-end --json", "what is there now; the counts on stdout"),
    )
