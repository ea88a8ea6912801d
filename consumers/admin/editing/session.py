"""A record that is being edited: who may, what it is that is edited, and the form for it."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest

from consumers import registry
from consumers.admin.editing.compose import compose
from consumers.admin.editing.fields import fields_of
from consumers.admin.editing.form import MOST, EditForm
from consumers.admin.editing.keep import Base, CannotEdit, base_of
from consumers.admin.jsontext import Json
from consumers.admin.payload import Head, parse, redaction_seen
from consumers.admin.redaction import Redaction, redaction_of
from consumers.core.errors import TooLarge
from consumers.models import FailedRecord

PERMISSION = "consumers.edit_failedrecord"
SENSITIVE = "consumers.view_sensitive_failedrecord"


@dataclass(frozen=True)
class Editing:
    """A record that is being edited by somebody."""

    record: FailedRecord
    base: Base
    document: Json | None
    redaction: Redaction
    form: EditForm

    def value(self) -> bytes:
        """What was typed, as bytes.

        Raises:
            NotJson: a text is not JSON.
        """
        if self.document is None or "whole" in self.form.fields:
            return str(self.form.cleaned_data["whole"]).encode("utf-8", "backslashreplace")
        return compose(self.document, self.form.edit_fields, self.form.typed)


def why_not(record: FailedRecord, request: HttpRequest) -> str:
    """Why somebody can't edit a record; empty if they can."""
    if not request.user.has_perm(PERMISSION):
        return "Your account lacks the permission to edit failed records."
    if record.status != FailedRecord.Status.PENDING:
        return f"It is {record.status}: only pending records are edited."
    if record.reason == TooLarge.REASON:
        return "Only the head of its value was kept."
    if not redaction_of(record.consumer).consumer_known:
        return "Its consumer is not registered: there is nothing to check an edit against."
    return ""


def begin(request: HttpRequest, record: FailedRecord) -> Editing:
    """What is edited, and the form for it.

    Raises:
        CannotEdit: it can't be, or not by this user.
    """
    if reason := why_not(record, request):
        raise CannotEdit(reason[:1].lower() + reason[1:].rstrip("."))
    base = base_of(record)
    if len(base.value) > MOST:
        raise CannotEdit(f"its value has {len(base.value):,} bytes, more than the {MOST:,} that are edited here")
    document = parse(Head.of(base.value))
    redaction = redaction_seen(redaction_of(record.consumer), document)
    sensitive = request.user.has_perm(SENSITIVE)
    if redaction.unsure and not sensitive:
        raise CannotEdit("its value can't be masked, and your account lacks the permission to view sensitive values")
    fields = fields_of(registry.get(record.consumer), document, redaction, sensitive=sensitive)
    if not fields and redaction.applies and not sensitive:
        raise CannotEdit("what is redacted can't be told apart, and your account may not view it")
    form = EditForm(fields, _whole(base, redaction), request.POST if request.method == "POST" else None)
    return Editing(record, base, document, redaction, form)


def _whole(base: Base, redaction: Redaction) -> str:
    """What the single input begins with: nothing, where it would show what is redacted or the value is no text."""
    if redaction.applies:
        return ""
    try:
        return base.value.decode("utf-8")
    except UnicodeDecodeError:
        return ""
