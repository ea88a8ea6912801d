"""Exceptions to the linter's security rules stand beside their reasons."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = ("consumers", "ads", "payments", "demo", "devstack", "project", "benchmarks")

_EXCEPTION = re.compile(r"# noqa: (?:[A-Z]+\d+, ?)*S\d+(?:, ?[A-Z]+\d+)*(?P<reason>.*)")


def exceptions(text: str) -> Iterator[tuple[int, bool]]:
    """The lines with one, and whether its reason is there: behind it, on the line above, or where the statement
    begins."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if found := _EXCEPTION.search(line):
            above = lines[number - 1] if number else ""
            yield number + 1, bool(re.search(r"\w{2}", found["reason"])) or "# " in above


@pytest.mark.parametrize("package", PACKAGES)
def test_every_exception_to_a_security_rule_has_its_reason(package: str) -> None:
    bare = [
        f"{file.relative_to(CHECKOUT)}:{number}"
        for file in (CHECKOUT / package).rglob("*.py")
        for number, has_reason in exceptions(file.read_text(encoding="utf-8"))
        if not has_reason
    ]
    assert bare == []


def test_an_exception_without_a_reason_is_seen() -> None:
    said = "a = 1\nrun(x)  # noqa: S603\n# ours\nrun(x)  # noqa: S603\nrun(x)  # noqa: BLE001, S603  (our own)\n"
    assert list(exceptions(said)) == [(2, False), (4, True), (5, True)]


def test_the_security_rules_are_on_for_every_package() -> None:
    lint = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    assert not [code for code in lint.get("ignore", []) if code.startswith("S")]
    assert not [where for where in lint["per-file-ignores"] if where.startswith(PACKAGES)]
