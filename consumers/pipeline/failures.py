"""From an error to a `Failure`: what is kept of it, in a form that a table can hold."""

from __future__ import annotations

import traceback as tracebacks

from django.db.models import Model

from consumers.core.errors import RecordError, release
from consumers.core.fingerprint import fingerprint
from consumers.core.outcomes import Failure
from consumers.core.records import Record
from consumers.models import FailedRecord
from consumers.postgres.errors import Trouble, classify, describe

_REASON_LIMIT = FailedRecord._meta.get_field("reason").max_length
_TOKEN_LIMIT = FailedRecord._meta.get_field("waits_for").max_length
_MESSAGE_LIMIT = 4_000
_TRACEBACK_LIMIT = 32_000
_REASONS = {Trouble.CONSTRAINT: "constraint", Trouble.DATA: "data"}


def failure(
    record: Record, error: BaseException, reason: str | None = None, retry_after: float | None = None
) -> Failure:
    """What is kept of an error. The reason is the error's own, the database's verdict, or `handler_error`; the error
    also knows best, if at all, after how many seconds the record is due again."""
    trouble = classify(error)
    if isinstance(error, RecordError):
        kind, reason, message, trace = "", reason or error.reason, str(error), ""
    elif trouble in _REASONS:
        # The driver's text repeats the row's values; its primary message and the frames say enough.
        kind, reason, message = type(error).__name__, reason or _REASONS[trouble], describe(error)
        trace = "".join(tracebacks.format_tb(error.__traceback__))
    else:
        kind, reason = _qualified(type(error)), reason or "handler_error"
        message, trace = _said(error), "".join(tracebacks.format_exception(error))
    place, given = _place(error), _given(error)
    release(error)
    return Failure(
        record=record,
        reason=_storable(reason, _MESSAGE_LIMIT)[:_REASON_LIMIT],
        message=_storable(message, _MESSAGE_LIMIT),
        exception=kind[:255],
        traceback=_storable(trace, _TRACEBACK_LIMIT),
        fingerprint=fingerprint(reason, kind, place, message),
        retry_after=retry_after if given is None else given,
        waits_for=_awaited(error),
    )


def _given(error: BaseException) -> float | None:
    seconds = getattr(error, "retry_after", None)
    return float(seconds) if isinstance(seconds, int | float) and seconds >= 0 else None


def _awaited(error: BaseException) -> str:
    awaited = error.waits_for if isinstance(error, RecordError) else None
    return "" if awaited is None else parent_token(*awaited)


def parent_token(model: type[Model], pk: object) -> str:
    """How a row is named that failed records wait for, such as `ads.campaign:7`."""
    return _storable(f"{model._meta.label_lower}:{pk}", _MESSAGE_LIMIT)[:_TOKEN_LIMIT]


def _said(error: BaseException) -> str:
    """The error's text; an error of somebody else's may fail even at that."""
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001
        return f"(its text cannot be had: {type(broken).__name__})"


def _qualified(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _place(error: BaseException) -> str:
    frames = tracebacks.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].name}" if frames else ""


def _storable(text: str, limit: int) -> str:
    """Text that a column can hold: no NUL, no lone surrogates, not endless."""
    clean = text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
    return clean if len(clean) <= limit else clean[: limit // 2] + "\n[…]\n" + clean[-limit // 2 :]
