"""The oracle of the chaos suite has eyes: a bug built into the consumers is named, and so is the record it cost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.shrink import fewest
from tests.e2e.harness import CHECKOUT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_the_oracle_names_records_that_were_dropped_although_the_books_balance(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.chaos", "--seed", "1", "--plant", "drop-records", "--per-round", "2"]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path)], cwd=CHECKOUT, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"caught after \d+ faults .*MISSING: \d+ \w+ are not in the table: \S+\[\d+\]@\d+", done.stdout)


def test_shrinking_leaves_only_the_faults_without_which_a_round_passes() -> None:
    tried: list[frozenset[int]] = []

    def fails(numbers: object) -> bool:
        tried.append(frozenset(numbers))  # type: ignore[call-overload]
        return {7, 21} <= tried[-1]

    assert fewest(range(40), fails) == [7, 21]
    assert len(tried) < 40


def test_a_round_that_fails_without_any_fault_shrinks_to_none() -> None:
    assert fewest(range(40), lambda numbers: True) == []
