"""`manage.py produce_events`: sends events to a topic, from a file, from the sample, or made up."""

from __future__ import annotations

import json
import re
import sys
import zlib
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from itertools import chain, islice, repeat
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from consumers import registry
from consumers.core.errors import ConsumerError, TransientError
from consumers.kafka.producer import RecordProducer
from consumers.management.examples import ExampleCommand
from consumers.settings import engine_settings
from demo.generate import Clicks, Counts, Shares, sample_campaigns
from demo.keys import key_of
from demo.lines import STDIN, read_lines
from demo.pacing import Pacer
from demo.progress import Progress
from demo.samples import KEYS, SAMPLES

WRONG_USAGE = 2
INTERRUPTED = 130


def positive(text: str) -> int:
    if not re.fullmatch("[0-9]{1,15}", text) or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def rate(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", text) or float(text) <= 0:
        raise ArgumentTypeError(f"{text!r} is not a number above 0")
    return float(text)


class Command(ExampleCommand):
    help = (
        "Sends events to a topic: the lines of a JSONL file, the sample, or clicks made up on the sample's campaigns."
    )
    examples = (
        ("produce_events --sample clicks", "the events that ship with the project"),
        (
            "produce_events --generate 100000 --rate 2000 --garbage 0.01",
            "made-up clicks, some of them broken, at a rate",
        ),
        ("produce_events events.jsonl.gz --topic ads.clicks", "a file of events, one JSON object a line"),
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", help="a JSONL file (.gz is unpacked), or - for standard input")
        parser.add_argument("--sample", choices=sorted(SAMPLES), help="events that ship with the project")
        parser.add_argument("--generate", type=positive, metavar="N", help="make up N clicks")
        parser.add_argument("--topic", help="where to (default: the sample's own; ads.clicks for made-up clicks)")
        parser.add_argument("--create", action="store_true", help="accept a topic that no consumer reads")
        parser.add_argument("--partitions", type=positive, default=6, help="of a topic that is new (default: 6)")
        parser.add_argument("--key", metavar="FIELD", help="the field that is the key (default: the account's id)")
        parser.add_argument("--rate", type=rate, help="records per second (default: as fast as it goes)")
        parser.add_argument("--limit", type=positive, help="stop after so many records")
        parser.add_argument("--repeat", type=positive, default=1, help="send the file so many times")
        parser.add_argument("--json", action="store_true", help="at the end, one JSON object on stdout")
        made = parser.add_argument_group("of the made-up clicks")
        made.add_argument("--repeats", type=float, default=0.0, help="the share sent twice, such as 0.01")
        made.add_argument("--unknown", type=float, default=0.0, help="the share on campaigns that there are not")
        made.add_argument("--garbage", type=float, default=0.0, help="the share that cannot be decoded or is invalid")
        made.add_argument("--seed", type=int, default=1, help="the same seed makes the same clicks (default: 1)")

    def handle(self, **options: Any) -> None:
        counts = _planned(options)
        topic = _topic(options)
        fields = [options["key"]] if options["key"] else KEYS.get(topic.removeprefix(_prefix()), ())
        progress = Progress(sys.stderr, topic)
        try:
            self._send(topic, _values(options, counts), fields, options, progress)
        except (OSError, EOFError, zlib.error) as error:
            name = options["file"] or "the sample"
            raise CommandError(f"cannot read {name}: {error}", returncode=WRONG_USAGE) from error
        except TransientError as error:
            raise CommandError(f"{error}. Is it running? `manage.py devstack up` starts a local one.") from error
        except ConsumerError as error:
            raise CommandError(str(error), returncode=WRONG_USAGE) from error
        except KeyboardInterrupt:
            raise CommandError(f"interrupted after {progress.count:,} records", returncode=INTERRUPTED) from None
        if options["json"]:
            self._summarise(topic, progress, counts)

    def _send(
        self, topic: str, values: Iterator[bytes], fields: Any, options: dict[str, Any], progress: Progress
    ) -> None:
        pacer = Pacer(options["rate"])
        with RecordProducer(settings.KAFKA_BOOTSTRAP_SERVERS, settings.KAFKA_PROPERTIES) as producer:
            producer.ensure_topic(topic, partitions=options["partitions"])
            for value in islice(values, options["limit"]):
                pacer.wait()
                producer.send(topic, value, key=key_of(value, fields))
                progress.add()
        progress.finish()

    def _summarise(self, topic: str, progress: Progress, counts: Counts | None) -> None:
        summary: dict[str, Any] = {"topic": topic, "sent": progress.count, "seconds": round(progress.seconds, 3)}
        self.stdout.write(json.dumps(summary | (counts.as_dict() if counts else {})))


def _planned(options: dict[str, Any]) -> Counts | None:
    """Check what was asked for; how many records of which kind will be made up, None for a file."""
    sources = [name for name in ("file", "sample", "generate") if options[name]]
    if len(sources) != 1:
        raise CommandError("give one of: a file (or -), --sample, --generate", returncode=WRONG_USAGE)
    if options["repeat"] > 1 and (options["file"] == STDIN or options["generate"]):
        raise CommandError("--repeat needs a file or --sample", returncode=WRONG_USAGE)
    if not options["generate"]:
        return None
    if options["limit"]:
        raise CommandError("--generate N says how many already: leave out --limit", returncode=WRONG_USAGE)
    try:
        shares = Shares(repeats=options["repeats"], unknown=options["unknown"], garbage=options["garbage"])
        return shares.counts(options["generate"])
    except ValueError as error:
        raise CommandError(str(error), returncode=WRONG_USAGE) from None


def _topic(options: dict[str, Any]) -> str:
    """Where to send; a misspelt topic would swallow the events in silence, so one that nobody reads is refused."""
    default = SAMPLES[options["sample"]].topic if options["sample"] else None
    default = default or ("ads.clicks" if options["generate"] else None)
    topic = options["topic"] or (_prefix() + default if default else None)
    known = sorted({_prefix() + topic for consumer in registry.all_consumers() for topic in consumer.topics})
    if topic is None:
        raise CommandError(f"--topic is needed for a file; consumers read {', '.join(known)}", returncode=WRONG_USAGE)
    if topic not in known and not options["create"]:
        raise CommandError(
            f"no consumer reads {topic!r} (there are {', '.join(known)}); --create sends to it nevertheless",
            returncode=WRONG_USAGE,
        )
    return str(topic)


def _prefix() -> str:
    """What comes before the names of topics in this environment."""
    return engine_settings().topic_prefix


def _values(options: dict[str, Any], counts: Counts | None) -> Iterator[bytes]:
    if counts is not None:
        return Clicks(options["seed"], sample_campaigns()).records(counts)
    name = options["file"] or str(SAMPLES[options["sample"]].path)
    return chain.from_iterable(read_lines(each) for each in repeat(name, options["repeat"]))
