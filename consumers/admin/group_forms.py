"""What is filled in on a group's page before something is done to it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model

LONGEST = 1_000
_ROWS = {"rows": 3, "cols": 60}


def staff() -> Any:
    """Those to whom something can be assigned: active members of staff."""
    return get_user_model()._default_manager.filter(is_active=True, is_staff=True)


class NoForm(forms.Form):
    """Nothing to fill in."""


class CommentForm(forms.Form):
    text = forms.CharField(label="Comment", max_length=LONGEST, widget=forms.Textarea(attrs=_ROWS))


class AssignForm(forms.Form):
    to = forms.CharField(
        label="Assign to",
        max_length=150,
        required=False,
        help_text="A member of staff; leave empty for nobody.",
        widget=forms.TextInput(attrs={"list": "inbox-staff", "autocomplete": "off"}),
    )

    def clean_to(self) -> str:
        name: str = self.cleaned_data["to"].strip()
        if name and not staff().filter(**{get_user_model().USERNAME_FIELD: name}).exists():
            raise forms.ValidationError(f"{name!r} is no active member of staff.")
        return name


class ArchiveForm(forms.Form):
    """Until what: for ever, for some days, until so many more have come, or until it escalates."""

    until = forms.ChoiceField(
        label="Archive",
        initial="escalates",
        choices=[
            ("escalates", "until it escalates"),
            ("count", "until so many more have failed"),
            ("days", "for so many days"),
            ("ever", "for ever"),
        ],
    )
    number = forms.IntegerField(label="How many", required=False, min_value=1, max_value=1_000_000_000)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("until") in ("count", "days") and not data.get("number"):
            raise forms.ValidationError("Say how many.")
        if data.get("until") == "days" and (data.get("number") or 0) > 3_650:
            raise forms.ValidationError("At most 3650 days.")
        return data


class DiscardGroupForm(forms.Form):
    """`upper_id` is the newest failed record that the page knew of: what has failed since is left alone."""

    note = forms.CharField(label="Reason for discarding", max_length=LONGEST, widget=forms.Textarea(attrs=_ROWS))
    upper_id = forms.IntegerField(min_value=0, max_value=2**63 - 1, widget=forms.HiddenInput)
