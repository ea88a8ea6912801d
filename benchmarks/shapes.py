"""The shapes of the work: what is in the topic and in the table, and who is measured on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks import partitioned, payloads
from benchmarks.commands import Commands
from benchmarks.database import Database
from benchmarks.payloads import POISON
from demo.generate import Shares

CLICKS, PAYMENTS = "ads.clicks", "payments.transactions"
FILLED = 10_000_000
BACKLOG = 10_000_000

IO_SECONDS = 0.02
IO_WORKERS = 200
IO_LANES = 2
IO_IDEAL = IO_WORKERS / IO_SECONDS
"""Records per second if nothing but the waiting took time."""

Hook = str | Callable[[Commands, Database], None]
"""What is done to the database around a trial: SQL, or a function."""

_REFUSE_POISON = f"ALTER TABLE ads_click ADD CONSTRAINT bench_poison CHECK (url NOT LIKE '%{POISON}%')"
_ACCEPT_POISON = "ALTER TABLE ads_click DROP CONSTRAINT IF EXISTS bench_poison"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A topic's content and who reads it.

    `share` is how many records it has, as a part of the run's `--records`; `records`, where it is set, is a number of
    its own. `make(records, chunk)` yields their values.
    """

    name: str
    title: str
    make: Callable[[int, int], Iterator[bytes]]
    share: float = 0.5
    records: int = 0
    topic: str = CLICKS
    table: str = "ads_click"
    consumer: str = "clicks"
    contenders: Sequence[str] = ("ours",)
    environment: Mapping[str, str] = field(default_factory=dict)
    partition: int | None = None
    """All records go to this one; None: by key, as in production."""
    before: Hook = ""
    after: Hook = ""
    filled: int = 0
    """So many rows are in the table already."""
    rounds: int = 0
    """0: as many as the run has."""
    only_large: bool = False
    """Takes minutes, so that it is only measured when asked for."""

    @property
    def prefix(self) -> str:
        """Of its topic, so that the same consumer reads every shape."""
        return f"bench.{self.name}."

    @property
    def full_topic(self) -> str:
        return self.prefix + self.topic

    def size(self, records: int) -> int:
        """How many records it has in a run of so many."""
        return self.records or max(1, round(records * self.share))


def _clicks(**shares: float) -> Callable[[int, int], Iterator[bytes]]:
    return lambda records, chunk: payloads.clicks(records, Shares(**shares))


SHAPES = {
    shape.name: shape
    for shape in (
        Shape(
            name="clean",
            title="clean clicks",
            make=_clicks(),
            share=1.0,
            contenders=("limit", "limit2", "hand", "ours", "ours2", "models", "bulk", "naive"),
        ),
        Shape(name="repeats", title="1 % repeats", make=_clicks(repeats=0.01), contenders=("ours", "hand")),
        Shape(name="bad01", title="0.1 % bad records", make=_clicks(garbage=0.0005, unknown=0.0005)),
        Shape(name="bad5", title="5 % bad records", make=_clicks(garbage=0.025, unknown=0.025)),
        Shape(
            name="poison",
            title="one row in each chunk that the table refuses",
            make=payloads.poisoned,
            before=_REFUSE_POISON,
            after=_ACCEPT_POISON,
        ),
        Shape(
            name="partitioned",
            title="clean clicks into the table partitioned by months",
            make=_clicks(),
            share=1.0,
            before=partitioned.convert,
            after=partitioned.undo,
        ),
        Shape(
            name="payments",
            title="payments, content compared, 1 % repeats",
            make=lambda records, chunk: payloads.payments(records),
            topic=PAYMENTS,
            table="payments_payment",
            consumer="payments",
        ),
        Shape(
            name="io",
            title="20 ms of I/O per record, 200 workers",
            make=_clicks(),
            share=0.5,
            consumer="bench_io",
            environment={"CONSUMERS_LANES": str(IO_LANES)},
        ),
        Shape(name="hot", title="one hot partition", make=_clicks(), partition=0, contenders=("ours", "hand")),
        Shape(name="mb", title="payloads of 1 MB", make=lambda records, chunk: payloads.large(records), records=500),
        Shape(
            name="filled",
            title="10 million rows in the table",
            make=_clicks(),
            share=1.0,
            contenders=("ours", "limit2"),
            filled=FILLED,
            rounds=2,
            only_large=True,
        ),
        Shape(
            name="months",
            title="10 million rows in the table, partitioned by months",
            make=_clicks(),
            share=1.0,
            before=partitioned.convert,  # once for all trials: the table stays as it is, and with it the rows
            filled=FILLED,
            rounds=2,
            only_large=True,
        ),
        Shape(
            name="backlog",
            title="a backlog of 10 million records",
            make=lambda records, chunk: payloads.numbered(records),
            records=BACKLOG,
            rounds=1,
            only_large=True,
        ),
    )
}
