"""What SECURITY.md claims is proved by tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

_PROOF = re.compile(r"\[`[\w.]+`\]\((?P<file>[\w./]+)\): (?P<sentence>[\w ]+) \|$", re.MULTILINE)


def test_every_measure_names_a_test_that_is_there() -> None:
    text = (CHECKOUT / "SECURITY.md").read_text(encoding="utf-8")
    rows = text[text.index("| measure | test |") :].strip().splitlines()[2:]
    proofs = _PROOF.findall(text)
    assert len(proofs) == len(rows)
    missing = [
        (file, sentence)
        for file, sentence in proofs
        if f"def test_{sentence.replace(' ', '_')}(" not in (CHECKOUT / file).read_text(encoding="utf-8")
    ]
    assert missing == []
