"""The shape of a consumer: what to decode, what to fetch, what a record becomes. Nothing of how it is run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from consumers.core.policies import BatchPolicy, RetryPolicy

if TYPE_CHECKING:
    from django.db.models import Model

Event = TypeVar("Event")
Row = TypeVar("Row", bound="Model")


class BatchConsumer(Generic[Event, Row]):
    """Turns the records of some topics into rows of one model.

    Subclass it, set the class attributes, write `process`, and decorate the class with `register`. Offsets,
    transactions, retries and concurrency are the engine's; none of them appears in a subclass.
    """

    name: ClassVar[str] = ""
    """Set by `register`; also the default consumer group."""
    topics: ClassVar[Sequence[str]]
    event: ClassVar[type[Any]]
    """A msgspec.Struct: its annotations are the decoder and the validation."""
    model: ClassVar[type[Model]]
    unique: ClassVar[Sequence[str]]
    """The idempotency key: fields of `model` under a unique constraint of their own."""
    on_conflict: ClassVar[Literal["ignore", "compare"]] = "ignore"
    """A row whose key exists: "ignore" counts a duplicate; "compare" does so only for equal content, and fails the
    record as `conflict` otherwise."""
    content: ClassVar[Sequence[str]] = ()
    """With "compare", the fields that must agree; by default those that the event and the model both name."""
    max_concurrency: ClassVar[int] = 16
    """Calls of `process` that may wait on I/O at once, per chunk."""
    handler_timeout: ClassVar[float] = 60.0
    """Seconds that one call of `process` may take before the record fails as `handler_timeout`; 0 means any time. A
    call that computes without ever waiting cannot be interrupted."""
    batch: ClassVar[BatchPolicy] = BatchPolicy()
    retry: ClassVar[RetryPolicy] = RetryPolicy()
    parents: ClassVar[Sequence[type[Model]]] = ()
    """Models that a rejected record may wait for: saving one of their rows processes what waited for it."""
    redact: ClassVar[Sequence[str]] = ()
    """Fields of the event that are never shown or logged."""

    def prefetch(self, events: Sequence[Event]) -> Any:
        """Fetch, once per chunk, all that `process` will need from the database; `in_bulk` makes it a map.

        The only place to query. What it returns is handed to every `process` of the chunk.
        """
        return None

    def process(self, event: Event, context: Any) -> Row | Iterable[Row] | None:
        """Make an event's row, or rows; None skips it, counted. Runs in a worker: may wait on I/O, may not query. May
        be called again for the same event.

        Raises:
            RecordError: (by `reject`) the record is stored as failed, with a reason.
            TransientError: tried again as `retry` says, then stored as failed and due again later.
            FatalError: the process stops and the chunk is not settled.
        """
        raise NotImplementedError

    def order_by(self, event: Event) -> Any:
        """A hashable key whose records are processed one after the other; None (the default) means in any order."""
        return None

    def on_written(self, rows: Sequence[Row]) -> None:
        """An effect of the rows that were new, in their transaction: it happens exactly once. Take locks in a fixed
        order; an error isolates the record at fault, as a failed write does."""
