"""Patching, in a process of its own: it cannot be undone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

PATCH = """
from importlib import metadata
asked, before, scans = [], metadata.entry_points, 0

class Plugin:
    def load(self):
        return asked.append

def entry_points(**which):
    global scans
    scans += 1
    return metadata.EntryPoints([metadata.EntryPoint("one", "plugin:one", "gevent.plugins.monkey.did_patch_all")])

metadata.entry_points = entry_points
metadata.EntryPoint.load = Plugin.load
from consumers.concurrency import is_patched, patch_for_command
patch_for_command(["manage.py", {command!r}])
print(is_patched(), scans, len(asked), metadata.entry_points is entry_points)
"""


def patched(command: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PATCH.format(command=command)], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_consuming_commands_are_patched_and_plugins_called_after_one_look_at_the_installed_packages() -> None:
    assert patched("consume_clicks") == ["True", "1", "1", "True"]
    assert patched("reprocess_failures") == ["True", "1", "1", "True"]


def test_other_commands_keep_ordinary_threads() -> None:
    assert patched("runserver") == ["False", "0", "0", "True"]
