"""Fetches the broker's jars, once per user of the machine.

`kafka.lock` lists every jar with its size and SHA-256. A jar enters the cache under its own name only when both are
right, so an interrupted download leaves at most a missing jar, and the next run fetches only what is missing.
jgo is used as the transport alone: its own environment builder would fetch a second JDK to look into the jars.
"""

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from devstack.errors import DevstackError
from devstack.state import locked

VERSION = "4.3.1"
LOCK = Path(__file__).with_name("kafka.lock")
THREADS = 4
TRIES = 3
REPORT_SECONDS = 2.0
MEGABYTE = 1_000_000

Report = Callable[[str], None]


@dataclass(frozen=True)
class Jar:
    """One line of the lock: a Maven coordinate (group:artifact:version), its size in bytes and its SHA-256."""

    coordinate: str
    size: int
    sha256: str

    @property
    def filename(self) -> str:
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def locked_jars() -> list[Jar]:
    lines = [line.split() for line in LOCK.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [Jar(coordinate, int(size), sha256) for coordinate, size, sha256 in lines]


def cache_folder(state_dir: Path) -> Path:
    """DEVSTACK_CACHE, else the user's cache folder, else (where that can't be written) the state folder."""
    if named := os.environ.get("DEVSTACK_CACHE", ""):
        return Path(named).expanduser().absolute()
    folder = _users_cache() / "kafka-batch-consumers"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder if os.access(folder, os.W_OK) else state_dir / "cache"


def _users_cache() -> Path:
    home = Path("~").expanduser()
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"))
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")


def kafka_jars(cache: Path, report: Report) -> Path:
    """The folder that holds all the jars, after fetching those that are missing or not of the right size."""
    folder = cache / f"kafka-{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    if missing_jars(folder):
        with locked(cache / "lock", lambda: report("Kafka: waiting for another download of the same jars")):
            _fetch_all(missing_jars(folder), folder, report)
    return folder


def missing_jars(folder: Path) -> list[Jar]:
    """The jars that `folder` lacks or holds with another size than the lock's."""
    return [jar for jar in locked_jars() if _size(folder / jar.filename) != jar.size]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _fetch_all(jars: list[Jar], folder: Path, report: Report) -> None:
    if not jars:
        return  # the other process fetched them
    for left in folder.glob("part-*"):  # by a download that was killed
        shutil.rmtree(left, ignore_errors=True)
    total, started = sum(jar.size for jar in jars), time.monotonic()
    report(
        f"Kafka {VERSION}: downloading {len(jars)} jars, {total / MEGABYTE:.0f} MB, from Maven Central"
        f" into {folder} (once; about a quarter of a minute)"
    )
    with tempfile.TemporaryDirectory(dir=folder, prefix="part-") as part, ThreadPoolExecutor(THREADS) as pool:
        tasks = {pool.submit(_fetch, jar, Path(part), folder): jar for jar in jars}
        done, said = 0, started
        try:
            for task in as_completed(tasks):
                task.result()
                done += tasks[task].size
                if time.monotonic() - said > REPORT_SECONDS:
                    said = time.monotonic()
                    report(f"  {done / MEGABYTE:.0f} of {total / MEGABYTE:.0f} MB")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    report(f"  all {total / MEGABYTE:.0f} MB are there, in {time.monotonic() - started:.0f} s")


def _fetch(jar: Jar, part: Path, folder: Path) -> None:
    """Downloads one jar into `part` and moves it to `folder` if it is the one that the lock means."""
    reason = ""
    for attempt in range(TRIES):
        try:
            path = _transfer(jar, part / f"{jar.filename}-{attempt}")
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors, jgo's RuntimeErrors
            reason = str(error)
            continue
        if hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256:
            path.replace(folder / jar.filename)
            return
        reason = "what arrived has another checksum than devstack/kafka.lock says"
    raise DevstackError(
        f"Could not download {jar.coordinate}: {reason}\n"
        "Check the network (a proxy goes into HTTPS_PROXY) and run the command again; what has arrived is kept."
    )


def _transfer(jar: Jar, repository: Path) -> Path:
    from jgo.maven import MavenContext  # slow to import, and needed once per machine

    context = MavenContext(repo_cache=repository, timeout=30)
    return Path(context.create_dependency(jar.coordinate).artifact.resolve())
