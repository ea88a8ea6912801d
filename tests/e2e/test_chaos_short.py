"""A short round of the chaos suite, always the same faults; `make chaos` runs as many as you like."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import CHECKOUT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_twenty_faults_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.chaos", "--seed", "8", "--round", "0", "--per-round", "20", "--pace", "1"]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path)], cwd=CHECKOUT, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["faults"] >= 15
    assert report["records"]["valid"] > 1_000
