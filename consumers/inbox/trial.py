"""What would happen if failed records were processed again: the consumers really run, and all is rolled back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from consumers import registry
from consumers.core.errors import ConsumerError, Misconfigured
from consumers.models import FailedRecord
from consumers.pipeline.edited import as_edited, edits_in_force
from consumers.pipeline.mask import mask, redacted_names, secrets_in
from consumers.reprocess import Result, Selection, reprocess
from consumers.settings import engine_settings


@dataclass(frozen=True)
class Trial:
    """What the records would come to; `error` says why that could not be told."""

    attempted: int = 0
    written: int = 0
    duplicates: int = 0
    skipped: int = 0
    failed: tuple[tuple[str, int], ...] = ()
    """Reasons with their numbers, the most frequent first."""
    error: str = ""


def try_out(ids: Sequence[int], by: str) -> Trial:
    """Process these failed records in transactions that are rolled back. Those not pending any more are left out.

    Blocks for as long as the consumers take, and holds locks on the records meanwhile: give it few. What `process`
    does to other services is not rolled back.
    """
    if not ids:
        return Trial()
    try:
        return _trial(reprocess(Selection(ids=tuple(ids)), by=by, dry_run=True))
    except ConsumerError as error:
        return Trial(error=str(error))
    except Exception as error:  # noqa: BLE001  (the consumer's own code)
        return Trial(error=_masked(f"the consumer raised {type(error).__name__}: {error}", ids))


def _trial(result: Result) -> Trial:
    written = result.resolved - result.duplicates - result.skipped
    failed = sorted(result.by_reason.items(), key=lambda item: (-item[1], item[0]))
    return Trial(result.attempted, written, result.duplicates, result.skipped, tuple(failed))


def _masked(text: str, ids: Sequence[int]) -> str:
    """Whichever of the records the text is about: without what their consumers redact of any of them."""
    using = engine_settings().database
    edits = edits_in_force(ids, using)
    for row in FailedRecord.objects.using(using).filter(pk__in=ids):
        with suppress(Misconfigured):  # no such consumer: nothing of it was run
            names = redacted_names(registry.get(row.consumer))
            text = mask(text, secrets_in(as_edited(row, edits.get(row.pk)).value, names)) if names else text
    return text
