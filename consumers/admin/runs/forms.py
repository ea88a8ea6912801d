"""What is asked before a run starts."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core import signing

from consumers.admin.digits import is_number
from consumers.inbox.runs.orders import Pace
from consumers.inbox.runs.selection import BadSelection, FrozenSelection
from consumers.models.runs import RAMP

SALT = "consumers.retry-run"
MOST_TRIED = 200
"""Records of a dry run: it happens within the request."""


class StartForm(forms.Form):
    """Why, and how carefully. `frozen` carries the selection that the page has shown, signed."""

    frozen = forms.CharField(widget=forms.HiddenInput)
    reason = forms.CharField(
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2, "cols": 80}),
        help_text="Kept with the run and in the log.",
    )
    rate = forms.FloatField(
        label="At most, records a second",
        min_value=0,
        max_value=1_000_000,
        initial=0,
        help_text="0: as fast as it goes. Spare a service that has only just recovered.",
    )
    pause_above = forms.IntegerField(
        label="Pause when more than (%) fail again",
        min_value=0,
        max_value=100,
        initial=50,
        help_text="Of each step. 100: never.",
    )
    ramp = forms.CharField(
        label="Steps",
        initial=", ".join(map(str, RAMP)),
        max_length=100,
        help_text="Records attempted before the failures are judged; the last number holds from then on.",
    )

    STEP: ClassVar[tuple[int, int]] = (1, 1_000)

    def clean_frozen(self) -> dict[str, Any]:
        try:
            return dict(signing.loads(self.cleaned_data["frozen"], salt=SALT))
        except signing.BadSignature:
            raise forms.ValidationError("The page can't be read any more; start again from the list.") from None

    def clean_ramp(self) -> tuple[int, ...]:
        texts = [text.strip() for text in self.cleaned_data["ramp"].split(",")]
        lowest, highest = self.STEP
        if len(texts) > 10 or not all(is_number(text, digits=5) for text in texts):
            raise forms.ValidationError("At most ten whole numbers with commas between them, such as 1, 5, 50, 500.")
        steps = tuple(map(int, texts))
        if not all(lowest <= step <= highest for step in steps):
            raise forms.ValidationError(f"Steps are from {lowest} to {highest:,} records.")
        return steps

    @property
    def pace(self) -> Pace:
        """How the run is to go, of a form that is valid."""
        given = self.cleaned_data
        return Pace(given["rate"], given["pause_above"] / 100, given["ramp"])


class TrialForm(forms.Form):
    """How many records a dry run tries."""

    number = forms.IntegerField(label="Records to try", min_value=1, max_value=MOST_TRIED, initial=50)


def seal(selection: FrozenSelection, token: str, expected: int) -> str:
    """The selection as a hidden field carries it."""
    packed = {
        "lookups": dict(selection.lookups),
        "upper_id": selection.upper_id,
        "shown_as": selection.shown_as,
        "token": token,
        "expected": expected,
    }
    return signing.dumps(packed, salt=SALT, compress=True)


def unseal(packed: dict[str, Any]) -> FrozenSelection:
    """The selection that was shown.

    Raises:
        BadSelection: it holds conditions that can't be frozen.
    """
    try:
        return FrozenSelection(packed["lookups"], packed["upper_id"], packed["shown_as"])
    except KeyError as error:
        raise BadSelection(f"the page did not carry {error}") from None
