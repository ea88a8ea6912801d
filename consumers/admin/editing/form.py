"""The form of an edit: an input for each part of the value, or one for the whole where it has no parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django import forms

from consumers.admin.editing.fields import LOCKED, EditField
from consumers.admin.visible import visible

MOST = 256 * 1024
"""Characters that one input takes."""


class EditForm(forms.Form):
    """Asks for the parts of a value, as JSON, and for the reason. Inputs are numbered: names on the wire may be
    anything."""

    def __init__(self, edit_fields: Sequence[EditField], whole: str, data: Mapping[str, Any] | None = None) -> None:
        """Without `edit_fields` there is one input, which begins with `whole`."""
        super().__init__(data)
        self.edit_fields = edit_fields
        for at, field in enumerate(edit_fields):
            if field.kind != LOCKED:
                self.fields[f"field{at}"] = _input(field)
        if not edit_fields:
            self.fields["whole"] = forms.CharField(
                label="The whole value",
                initial=whole,
                max_length=MOST,
                strip=False,
                widget=forms.Textarea(attrs={"rows": 16, "cols": 80, "spellcheck": "false"}),
            )
        self.fields["reason"] = forms.CharField(
            label="Why it is edited",
            max_length=1000,
            widget=forms.Textarea(attrs={"rows": 2, "cols": 80}),
            help_text="Kept with the edit and in the log.",
        )

    @property
    def typed(self) -> dict[str, str]:
        """What was typed, by the names on the wire."""
        return {field.name: self.cleaned_data.get(f"field{at}", "") for at, field in enumerate(self.edit_fields)}

    @property
    def rows(self) -> Iterator[tuple[EditField, str, forms.BoundField | None]]:
        """The parts with their names fit to be printed, and their inputs; what is locked has none."""
        for at, field in enumerate(self.edit_fields):
            yield field, visible(field.name), self[f"field{at}"] if f"field{at}" in self.fields else None

    def refuse(self, name: str, text: str) -> None:
        """Put an error at the part with this name; where there is none, above all."""
        inputs = (f"field{at}" for at, field in enumerate(self.edit_fields) if field.name == name)
        self.add_error(next((each for each in inputs if each in self.fields), None), visible(text))


def _help(field: EditField) -> str:
    said = [visible(field.expected), visible(field.why[:1].upper() + field.why[1:])]
    return " ".join(f"{each}." for each in said if each)


def _input(field: EditField) -> forms.CharField:
    lines = min(12, field.text.count("\n") + 1 + len(field.text) // 100)
    attrs: dict[str, Any] = {"rows": lines, "cols": 80, "spellcheck": "false"}
    if field.is_hidden:
        attrs["placeholder"] = "kept as it is"
    return forms.CharField(
        label=visible(field.name),
        initial=field.text,
        required=False,
        help_text=_help(field),
        max_length=MOST,
        strip=False,
        widget=forms.Textarea(attrs=attrs),
    )
